"""The log in memory, for tests: nothing survives the process, everything else is as the port says."""

from collections.abc import Sequence
from typing import NamedTuple

from funcledger_event_log.checks import check_metadata, check_sizes
from funcledger_event_log.in_process import InProcessLog
from funcledger_event_log.port import Committed, LogUnavailable
from funcledger_event_log.records import NewRecord, Position, Record, TopicPartition
from funcledger_schemas import clock
from funcledger_schemas.envelope import Headers


class _Stored(NamedTuple):
    """A record as bytes: no decoded event gets from writer to reader."""

    timestamp: int
    key: bytes
    headers: Headers
    value: bytes

    def record(self, where: TopicPartition, offset: int) -> Record:
        """A fresh record for one reader."""
        return Record(*where, offset, self.timestamp, self.key, self.headers, self.value)


class MemoryLog(InProcessLog[list[_Stored]]):
    """An ``EventLog`` of lists."""

    #: Nothing has to be fetched from elsewhere.
    fetch = None

    def __init__(self) -> None:
        super().__init__({})
        self._committed: dict[tuple[str, TopicPartition], Committed] = {}

    async def create_topic(self, topic: str, partitions: int) -> None:
        """As the port says."""
        for partition in range(partitions):
            self._partitions.setdefault(TopicPartition(topic, partition), [])

    async def append(self, records: Sequence[NewRecord]) -> list[Position]:
        """As the port says."""
        if self.bells.closed:
            raise LogUnavailable("the log is closed")
        check_sizes(records)
        wheres = [TopicPartition(record.topic, record.partition) for record in records]
        for where in wheres:
            self._partition(where)
        positions = [self._write(where, record) for where, record in zip(wheres, records, strict=True)]
        self.bells.ring(dict.fromkeys(wheres))
        return positions

    def _write(self, where: TopicPartition, record: NewRecord) -> Position:
        stored = self._partitions[where]
        stored.append(_Stored(clock.millis(), record.key, record.headers, record.value))
        return Position(*where, len(stored) - 1)

    def take(self, where: TopicPartition, offset: int, records: int, size: int) -> list[Record]:
        """Records from an offset on, for a follower."""
        taken = []
        for at, stored in enumerate(self._partitions[where][offset : offset + records], offset):
            taken.append(stored.record(where, at))
            size -= len(stored.value)
            if size <= 0:
                break
        return taken

    async def read(self, positions: Sequence[Position]) -> list[Record | None]:
        """As the port says."""
        return [self._read(TopicPartition(topic, partition), at) for topic, partition, at in positions]

    def _read(self, where: TopicPartition, offset: int) -> Record | None:
        stored = self._partition(where)
        return stored[offset].record(where, offset) if 0 <= offset < len(stored) else None

    async def ends(self, topic: str) -> dict[int, int]:
        """As the port says."""
        return {
            where.partition: len(held) for where, held in self._partitions.items() if where.topic == topic
        }

    async def commit(self, consumer: str, where: TopicPartition, offset: int, metadata: str = "") -> None:
        """As the port says."""
        check_metadata(metadata)
        self._partition(where)
        self._committed[consumer, where] = Committed(offset, metadata)

    async def committed(self, consumer: str, where: TopicPartition) -> Committed | None:
        """As the port says."""
        return self._committed.get((consumer, where))

    async def time(self) -> int:
        """As the port says."""
        return clock.millis()

    async def close(self) -> None:
        """As the port says."""
        self.bells.close()
