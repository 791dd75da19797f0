"""``KafkaLog``: the port ``EventLog`` over a Kafka cluster."""

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence

from funcledger_event_log.checks import check_metadata, check_sizes, check_start, unknown
from funcledger_event_log.kafka.positions import Positions
from funcledger_event_log.kafka.producer import Writer
from funcledger_event_log.kafka.reader import Reader, by_partition
from funcledger_event_log.kafka.settings import KafkaSettings
from funcledger_event_log.kafka.topics import Topics
from funcledger_event_log.port import Committed, LogUnavailable
from funcledger_event_log.records import NewRecord, Position, Record, TopicPartition

_READ_TIMEOUT = 10.0


class KafkaLog:
    """An ``EventLog`` of Kafka topics; partitions known are cached, since they only ever grow."""

    def __init__(self, settings: KafkaSettings) -> None:
        self._settings = settings
        self._topics = Topics(settings)
        self._positions = Positions(settings)
        self._writer = Writer(settings)
        self._known: dict[str, int] = {}
        self._closed = False

    async def create_topic(self, topic: str, partitions: int) -> None:
        """As the port says."""
        await self._topics.create(topic, partitions)

    async def partitions(self, topic: str) -> int:
        """As the port says."""
        self._known[topic] = await self._topics.partitions(topic)
        return self._known[topic]

    async def _check(self, where: TopicPartition) -> None:
        if where.partition < self._known.get(where.topic, 0):
            return
        if not 0 <= where.partition < await self.partitions(where.topic):
            raise unknown(where)

    async def append(self, records: Sequence[NewRecord]) -> list[Position]:
        """As the port says."""
        if self._closed:
            raise LogUnavailable("the log is closed")
        check_sizes(records)
        for where in {TopicPartition(record.topic, record.partition) for record in records}:
            await self._check(where)
        return await self._writer.append(records)

    async def follow(
        self, start: Mapping[TopicPartition, int], *, max_records: int = 1000, max_bytes: int = 8 << 20
    ) -> AsyncGenerator[list[Record]]:
        """As the port says."""
        lowest: dict[TopicPartition, int] = {}
        for topic in {where.topic for where in start}:
            lowest |= {TopicPartition(topic, p): at for p, at in (await self.starts(topic)).items()}
        check_start(start, lowest)
        async for batch in Reader(self._settings).follow(start, max_records, max_bytes):
            if self._closed:
                raise LogUnavailable("the log is closed")
            yield batch

    async def read(self, positions: Sequence[Position]) -> list[Record | None]:
        """As the port says."""
        found: dict[Position, Record] = {}
        wanted = by_partition(positions)
        reader = Reader(self._settings)
        try:
            for where, offsets in wanted.items():
                there = await self._existing(where, offsets)
                if there:
                    read = await asyncio.to_thread(reader.read, where, there, _READ_TIMEOUT)
                    found |= {record.position: record for record in read.values()}
        finally:
            reader.close()
        return [found.get(position) for position in positions]

    async def _existing(self, where: TopicPartition, offsets: Sequence[int]) -> list[int]:
        await self._check(where)
        start = (await self.starts(where.topic))[where.partition]
        end = (await self.ends(where.topic))[where.partition]
        return [offset for offset in offsets if start <= offset < end]

    async def ends(self, topic: str) -> dict[int, int]:
        """As the port says."""
        return await self._topics.offsets(topic, at_end=True)

    async def starts(self, topic: str) -> dict[int, int]:
        """As the port says."""
        return await self._topics.offsets(topic, at_end=False)

    async def commit(self, consumer: str, where: TopicPartition, offset: int, metadata: str = "") -> None:
        """As the port says."""
        check_metadata(metadata)
        await self._check(where)
        await self._positions.commit(consumer, where, offset, metadata)

    async def committed(self, consumer: str, where: TopicPartition) -> Committed | None:
        """As the port says."""
        return await self._positions.committed(consumer, where)

    async def ready(self) -> bool:
        """As the port says: the producer is whole and the cluster answers."""
        if self._closed or not self._writer.ready:
            return False
        try:
            await self._topics.partitions("tasks")
        except LogUnavailable:
            return False
        return True

    async def close(self) -> None:
        """As the port says."""
        self._closed = True
        await asyncio.to_thread(self._writer.close)
        await asyncio.to_thread(self._positions.close)
