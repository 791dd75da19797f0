"""What logs have in common whose followers live in the same process: partitions from 0 on, and bells."""

from collections.abc import AsyncGenerator, Mapping
from typing import Generic, TypeVar

from funcledger_event_log.checks import check_start, unknown
from funcledger_event_log.following import Bells, Source, follow
from funcledger_event_log.records import Record, TopicPartition

#: What a log keeps of a partition.
Kept = TypeVar("Kept")


class InProcessLog(Source, Generic[Kept]):
    """The part of ``EventLog`` that asks for nothing but the partitions that there are."""

    def __init__(self, partitions: dict[TopicPartition, Kept]) -> None:
        self.bells = Bells()
        self._partitions = partitions

    def _partition(self, where: TopicPartition) -> Kept:
        """What is kept of a partition.

        Raises:
            UnknownPartition: there is none.
        """
        partition = self._partitions.get(where)
        if partition is None:
            raise unknown(where)
        return partition

    async def partitions(self, topic: str) -> int:
        """As the port says."""
        return sum(where.topic == topic for where in self._partitions)

    async def starts(self, topic: str) -> dict[int, int]:
        """As the port says: nothing expires."""
        return {where.partition: 0 for where in self._partitions if where.topic == topic}

    def follow(
        self, start: Mapping[TopicPartition, int], *, max_records: int = 1000, max_bytes: int = 8 << 20
    ) -> AsyncGenerator[list[Record]]:
        """As the port says."""
        return follow(self, start, max_records, max_bytes)

    async def ready(self) -> bool:
        """As the port says."""
        return await self.trouble() is None

    async def trouble(self) -> str | None:
        """As the port says."""
        return "It is closed." if self.bells.closed else None

    def check(self, start: Mapping[TopicPartition, int]) -> None:
        """Raise for what cannot be followed."""
        check_start(start, dict.fromkeys(self._partitions, 0))
