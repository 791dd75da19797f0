"""Consumers with explicit positions: following partitions, and fetching single records."""

import asyncio
import time
from collections.abc import AsyncGenerator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import cast

from confluent_kafka import Consumer, KafkaError, Message
from confluent_kafka import TopicPartition as KafkaPartition

from funcledger_event_log.kafka.errors import translate
from funcledger_event_log.kafka.settings import KafkaSettings
from funcledger_event_log.port import LogUnavailable
from funcledger_event_log.records import Position, Record, TopicPartition

#: Seconds a poll waits for something new before it looks whether it should stop.
_POLL = 0.2
#: What librdkafka gets over by itself while the broker is away.
_PASSING = {
    KafkaError._ALL_BROKERS_DOWN,
    KafkaError._TRANSPORT,
    KafkaError._TIMED_OUT,
    KafkaError._RESOLVE,
    KafkaError.LEADER_NOT_AVAILABLE,
    KafkaError.NOT_LEADER_FOR_PARTITION,
}


def record_of(message: Message, prefix: str) -> Record:
    """A consumed message as our record."""
    _, timestamp = message.timestamp()
    given = cast("list[tuple[str, bytes | None]]", message.headers() or [])
    headers = tuple((name, value or b"") for name, value in given)
    topic, partition, offset = message.topic(), message.partition(), message.offset()
    assert topic is not None
    assert partition is not None
    assert offset is not None
    key, value = message.key() or b"", message.value() or b""
    return Record(topic.removeprefix(prefix), partition, offset, timestamp, key, headers, value)


class Reader:
    """One consumer in a thread of its own; not shared."""

    def __init__(self, settings: KafkaSettings, group: str = "reader") -> None:
        self._settings = settings
        self._consumer = Consumer(settings.consumer(group))
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="kafka-reader")

    def _assign(self, start: Mapping[TopicPartition, int]) -> None:
        topic = self._settings.topic
        self._consumer.assign([KafkaPartition(topic(w.topic), w.partition, at) for w, at in start.items()])

    def _take(self, max_records: int, max_bytes: int, patience: float) -> list[Record]:
        """What is there, waiting for the first message alone."""
        first = self._consumer.poll(patience)
        if first is None:
            return []
        messages, size = [first], len(first)
        while len(messages) < max_records and size < max_bytes:
            more = self._consumer.consume(min(500, max_records - len(messages)), 0)
            if not more:
                break
            messages += more
            size += sum(map(len, more))
        return [record_of(message, self._settings.prefix) for message in messages if self._good(message)]

    def _good(self, message: Message) -> bool:
        error = message.error()
        if error is None:
            return True
        if error.code() in _PASSING:
            return False
        raise translate(error)

    async def follow(
        self, start: Mapping[TopicPartition, int], max_records: int, max_bytes: int
    ) -> AsyncGenerator[list[Record]]:
        """Batches from these offsets on, without end."""
        loop = asyncio.get_running_loop()
        try:
            await loop.run_in_executor(self._thread, self._assign, start)
            while True:
                batch = await loop.run_in_executor(self._thread, self._take, max_records, max_bytes, _POLL)
                if batch:
                    yield batch
        finally:
            self.close()

    def read(self, where: TopicPartition, offsets: Sequence[int], patience: float) -> dict[int, Record]:
        """The records of one partition at these rising offsets, all of which exist.

        Raises:
            LogUnavailable: the broker did not hand them over in time.
        """
        wanted, found = set(offsets), dict[int, Record]()
        deadline = time.monotonic() + patience
        self._assign({where: offsets[0]})
        while len(found) < len(wanted):
            if time.monotonic() > deadline:
                raise LogUnavailable(
                    f"{len(wanted) - len(found)} records of {where} could not be read in time"
                )
            for record in self._take(500, 8 << 20, _POLL):
                if record.offset in wanted:
                    found[record.offset] = record
            self._skip_gap(where, offsets, found)
        return found

    def _skip_gap(self, where: TopicPartition, offsets: Sequence[int], found: Mapping[int, Record]) -> None:
        """Go straight to the next wanted record when it is far ahead."""
        missing = next((offset for offset in offsets if offset not in found), None)
        if missing is None:
            return
        target = KafkaPartition(self._settings.topic(where.topic), where.partition)
        at = self._consumer.position([target])[0].offset
        if missing < at or missing - at > 1000:
            target.offset = missing
            self._consumer.seek(target)

    def close(self) -> None:
        """Let go of consumer and thread, once a poll under way has ended."""
        self._thread.submit(self._consumer.close)
        self._thread.shutdown(wait=False)


def by_partition(positions: Sequence[Position]) -> dict[TopicPartition, list[int]]:
    """The offsets asked for, rising, per partition."""
    grouped: dict[TopicPartition, set[int]] = {}
    for topic, partition, offset in positions:
        grouped.setdefault(TopicPartition(topic, partition), set()).add(offset)
    return {where: sorted(offsets) for where, offsets in grouped.items()}
