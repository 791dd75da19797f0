"""Consumers' positions, kept as records of a compacted topic: of each only the newest counts.

Not as Kafka keeps a group's offsets: the admin client's calls for these end the whole process when the
coordinator goes away under them (librdkafka issues 4605 and 5040), a consumer for each endpoint would be
thousands, and brokers forget the offsets of a group that is idle for a week.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from confluent_kafka import OFFSET_BEGINNING, KafkaError, KafkaException, Message
from confluent_kafka import TopicPartition as KafkaPartition

from funcledger_event_log.kafka.reader import consumer
from funcledger_event_log.kafka.settings import KafkaSettings
from funcledger_event_log.kafka.topics import Topics
from funcledger_event_log.port import Committed, LogUnavailable, OutcomeUnknown, UnknownPartition
from funcledger_event_log.records import NewRecord, Position, TopicPartition

#: The topic they stand in.
POSITIONS = "positions"
#: Seconds in which what is there has to arrive.
_PATIENCE = 10.0

Append = Callable[[Sequence[NewRecord]], Awaitable[list[Position]]]


class Positions:
    """Writes positions through the log's producer; reads what is new of the topic when one is asked for."""

    def __init__(self, settings: KafkaSettings, topics: Topics, append: Append) -> None:
        self._settings = settings
        self._topics = topics
        self._append = append
        self._known: dict[bytes, Committed] = {}
        self._next = 0
        self._turn = asyncio.Lock()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="kafka-positions")

    async def commit(self, consumer: str, where: TopicPartition, offset: int, metadata: str) -> None:
        """Keep the position."""
        value = f"{offset} {metadata}".encode()
        record = NewRecord(POSITIONS, 0, _key(consumer, where), (), value)
        try:
            await self._append([record])
        except UnknownPartition:
            await self._topics.create(POSITIONS, 1)
            await self._append([record])
        except OutcomeUnknown as error:
            raise LogUnavailable(f"whether the position is kept is not known: {error}") from error

    async def committed(self, consumer: str, where: TopicPartition) -> Committed | None:
        """The position kept last."""
        async with self._turn:
            end = (await self._topics.offsets(POSITIONS, at_end=True)).get(0, 0)
            if self._next < end:
                loop = asyncio.get_running_loop()
                # Whoever asked may go away; the next one waits until the thread is done.
                await asyncio.shield(loop.run_in_executor(self._thread, self._read_to, end))
        return self._known.get(_key(consumer, where))

    def _read_to(self, end: int) -> None:
        reading = consumer(self._settings.consumer("positions") | {"enable.partition.eof": True})
        start = self._next or OFFSET_BEGINNING
        deadline = time.monotonic() + _PATIENCE
        try:
            reading.assign([KafkaPartition(self._settings.topic(POSITIONS), 0, start)])
            while self._next < end:
                for message in reading.consume(1000, 0.2):
                    self._note(message)
                if time.monotonic() > deadline:
                    raise LogUnavailable("the broker did not hand over positions in time")
        except KafkaException as error:
            raise LogUnavailable(f"positions could not be read: {error}") from error
        finally:
            reading.close()

    def _note(self, message: Message) -> None:
        error, offset = message.error(), message.offset()
        if error is not None:
            # The last ones before the end may have been compacted away.
            if error.code() == KafkaError._PARTITION_EOF and offset is not None:
                self._next = max(self._next, offset)
            return
        number, _, metadata = (message.value() or b"0 ").decode().partition(" ")
        self._known[message.key() or b""] = Committed(int(number), metadata)
        self._next = (offset or 0) + 1

    def close(self) -> None:
        """Let go of the thread."""
        self._thread.shutdown(wait=False)


def _key(consumer: str, where: TopicPartition) -> bytes:
    return f"{consumer}/{where.topic}/{where.partition}".encode()
