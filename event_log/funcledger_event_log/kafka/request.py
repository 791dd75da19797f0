"""An append under way: its records' delivery reports, put together to one answer."""

import asyncio
import threading
from collections.abc import Sequence

from confluent_kafka import TIMESTAMP_LOG_APPEND_TIME, KafkaError, Message

from funcledger_event_log.kafka.errors import worst
from funcledger_event_log.records import NewRecord, Position


class Request:
    """One append under way: counts its records down, then tells the loop."""

    def __init__(self, records: Sequence[NewRecord]) -> None:
        self._loop = asyncio.get_running_loop()
        self.done: asyncio.Future[list[Position]] = self._loop.create_future()
        self._records = records
        self._offsets: list[int | None] = [None] * len(records)
        self._errors: list[KafkaError] = []
        self._left = len(records)
        # Records are refused in the loop's thread while others are reported in the poller's.
        self._lock = threading.Lock()

    def answered(self, index: int, error: KafkaError | None, message: Message) -> None:
        """A record's delivery report."""
        offset = message.offset()
        if error is None and offset is None:
            # The library infers from a later batch that this one is there too. It may not be: where the
            # broker knows nothing of this producer yet, it takes a second batch without the first.
            error = KafkaError(KafkaError.DUPLICATE_SEQUENCE_NUMBER, "delivered, but nobody knows where")
        if error is not None:
            self.refused(1, error)
            return
        self._offsets[index] = offset
        self._count_down(1)

    @property
    def reached(self) -> bool:
        """Whether a record of it is known to have been appended."""
        return any(offset is not None for offset in self._offsets)

    def refused(self, records: int, error: KafkaError) -> None:
        """So many records will not be appended, or perhaps not."""
        self._errors += [error] * records
        self._count_down(records)

    def _count_down(self, records: int) -> None:
        with self._lock:
            self._left -= records
            last = self._left == 0
        if last:
            self._loop.call_soon_threadsafe(self._finish)

    def _finish(self) -> None:
        if self.done.cancelled():
            return
        if self._errors:
            self.done.set_exception(worst(self._errors, len(self._records) - len(self._errors)))
            return
        pairs = zip(self._records, self._offsets, strict=True)
        self.done.set_result([Position(r.topic, r.partition, at) for r, at in pairs if at is not None])


class Stamped(Request):
    """The append of one record of which the broker's time is wanted."""

    def __init__(self, record: NewRecord) -> None:
        super().__init__([record])
        self.timestamp: int | None = None

    def answered(self, index: int, error: KafkaError | None, message: Message) -> None:
        """Its delivery report; a time that is our own does not count."""
        kind, timestamp = message.timestamp()
        if kind == TIMESTAMP_LOG_APPEND_TIME:
            self.timestamp = timestamp
        super().answered(index, error, message)
