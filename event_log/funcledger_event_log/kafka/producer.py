"""The one producer of a process: many appends at once, each answered when all of its records are."""

import asyncio
import logging
import threading
from collections.abc import Sequence
from typing import Any

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from funcledger_event_log.kafka.errors import translate, worst
from funcledger_event_log.kafka.settings import KafkaSettings
from funcledger_event_log.port import LogUnavailable, OutcomeUnknown
from funcledger_event_log.records import NewRecord, Position

_log = logging.getLogger(__name__)


class _Request:
    """One append under way: counts its records down, then tells the loop."""

    def __init__(self, records: Sequence[NewRecord]) -> None:
        self.loop = asyncio.get_running_loop()
        self.done: asyncio.Future[list[Position]] = self.loop.create_future()
        self._records = records
        self._offsets: list[int | None] = [None] * len(records)
        self._errors: list[KafkaError] = []
        self._left = len(records)

    def answered(self, index: int, error: KafkaError | None, message: Message) -> None:
        """A record's delivery report, in the poll thread."""
        if error is None:
            self._offsets[index] = message.offset()
        else:
            self._errors.append(error)
        self._left -= 1
        if self._left == 0:
            self.loop.call_soon_threadsafe(self._finish)

    def _finish(self) -> None:
        if self.done.cancelled():
            return
        if self._errors:
            self.done.set_exception(worst(self._errors, len(self._records) - len(self._errors)))
            return
        pairs = zip(self._records, self._offsets, strict=True)
        self.done.set_result([Position(r.topic, r.partition, at) for r, at in pairs if at is not None])


class Writer:
    """Appends through one idempotent producer, which is built anew after a fatal error."""

    def __init__(self, settings: KafkaSettings) -> None:
        self._settings = settings
        self._broken = False
        self._closed = False
        self._producer = self._build()
        self._poller = threading.Thread(target=self._poll, name="kafka-producer", daemon=True)
        self._poller.start()

    @property
    def ready(self) -> bool:
        """Whether the producer can take records."""
        return not (self._broken or self._closed)

    def _build(self) -> Producer:
        return Producer(self._settings.producer() | {"error_cb": self._on_error})

    def _on_error(self, error: KafkaError) -> None:
        if error.fatal():
            _log.error("the producer met a fatal error and is built anew: %s", error.str())
            self._broken = True

    def _poll(self) -> None:
        while not self._closed:
            self._producer.poll(0.1)
            if self._broken:
                self._renew()

    def _renew(self) -> None:
        """Let what is under way fail as of unknown outcome, then start with a fresh producer."""
        self._producer.purge()
        self._producer.flush(1.0)
        self._producer = self._build()
        self._broken = False

    async def append(self, records: Sequence[NewRecord]) -> list[Position]:
        """Append and wait for every record's acknowledgement, as the port says."""
        if not records:
            return []
        if not self.ready:
            raise LogUnavailable("the producer is being built anew")
        request = _Request(records)
        for index, record in enumerate(records):
            try:
                self._produce(record, index, request)
            except (BufferError, KafkaException) as error:
                raise self._refused(index, error) from error
        return await request.done

    def _produce(self, record: NewRecord, index: int, request: _Request) -> None:
        def report(error: KafkaError | None, message: Message) -> None:
            request.answered(index, error, message)

        headers: list[Any] = list(record.headers)
        self._producer.produce(
            self._settings.topic(record.topic),
            value=record.value,
            key=record.key,
            partition=record.partition,
            headers=headers,
            on_delivery=report,
        )

    def _refused(self, sent: int, error: BaseException) -> Exception:
        if sent:
            return OutcomeUnknown(f"only {sent} records of the request went out: {error}")
        if isinstance(error, KafkaException):
            return translate(error.args[0])
        return LogUnavailable("the producer's queue is full: the broker does not keep up")

    def close(self) -> None:
        """Send what was accepted, then stop."""
        self._producer.flush(self._settings.delivery_timeout)
        self._closed = True
        self._poller.join()
