"""What is read from the embedded log's files, by the process that writes them and by those beside it."""

from collections.abc import Sequence

from funcledger_event_log.in_process import InProcessLog
from funcledger_event_log.port import Committed
from funcledger_event_log.records import Position, Record, TopicPartition
from funcledger_event_log.sqlite.partitions import Partition
from funcledger_event_log.sqlite.readers import Readers
from funcledger_event_log.sqlite.transaction import append_time


class FilesRead(InProcessLog[Partition]):
    """The part of an ``EventLog`` that only reads; a partition's tail in memory comes first."""

    def __init__(self, partitions: dict[TopicPartition, Partition], readers: Readers) -> None:
        super().__init__(partitions)
        self._readers = readers

    async def fetch(self, where: TopicPartition, offset: int, records: int, size: int) -> list[Record]:
        """Records from an offset on, from storage."""
        return await self._readers.batch(self._partitions[where], offset, records, size)

    async def read(self, positions: Sequence[Position]) -> list[Record | None]:
        """As the port says."""
        found: dict[Position, Record] = {}
        missing = []
        for position in positions:
            partition = self._partition(TopicPartition(position.topic, position.partition))
            if (record := partition.tail.get(position.offset)) is not None:
                found[position] = record
            elif 0 <= position.offset < partition.end:
                missing.append((partition, position.offset))
        if missing:
            found.update(await self._readers.single(missing))
        return [found.get(position) for position in positions]

    async def ends(self, topic: str) -> dict[int, int]:
        """As the port says."""
        return {
            where.partition: partition.end
            for where, partition in self._partitions.items()
            if where.topic == topic
        }

    async def committed(self, consumer: str, where: TopicPartition) -> Committed | None:
        """As the port says."""
        partition = self._partitions.get(where)
        return await self._readers.committed(consumer, partition) if partition else None

    async def time(self) -> int:
        """As the port says."""
        return append_time()
