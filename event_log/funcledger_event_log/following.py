"""The loop by which a follower in the log's own process reads what is there and sleeps until more comes."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Mapping
from typing import Protocol

from funcledger_event_log.port import LogUnavailable
from funcledger_event_log.records import Record, TopicPartition


class Bell:
    """What one follower sleeps on, and which of its partitions rang meanwhile."""

    __slots__ = ("_event", "rung")

    def __init__(self, partitions: Iterable[TopicPartition]) -> None:
        self._event = asyncio.Event()
        #: Partitions to look at, in the order they rang; at first, all of them.
        self.rung: dict[TopicPartition, None] = dict.fromkeys(partitions)

    def ring(self, where: TopicPartition) -> None:
        """There is something new there."""
        self.rung[where] = None
        self._event.set()

    async def wait(self) -> None:
        """Sleep until it rings, unless it has rung already."""
        self._event.clear()
        if not self.rung:
            await self._event.wait()


class Bells:
    """The bells of all followers, by partition, so that an append wakes only those it concerns."""

    def __init__(self) -> None:
        #: Those hung first ring first, so that equal runs wake followers in equal order.
        self._by_partition: dict[TopicPartition, dict[Bell, None]] = {}
        self.closed = False

    def hang(self, partitions: Iterable[TopicPartition]) -> Bell:
        """A bell that rings for these partitions."""
        bell = Bell(partitions)
        for where in bell.rung:
            self._by_partition.setdefault(where, {})[bell] = None
        return bell

    def take_down(self, bell: Bell, partitions: Iterable[TopicPartition]) -> None:
        """Let go of a bell that hung for these partitions."""
        for where in partitions:
            self._by_partition[where].pop(bell, None)

    def ring(self, partitions: Iterable[TopicPartition]) -> None:
        """Wake everybody who follows one of these."""
        for where in partitions:
            for bell in self._by_partition.get(where, ()):
                bell.ring(where)

    def close(self) -> None:
        """Wake everybody for the last time: the log is closed."""
        self.closed = True
        self.ring(list(self._by_partition))


class Source(Protocol):
    """Where the loop gets records from."""

    bells: Bells

    def check(self, start: Mapping[TopicPartition, int]) -> None:
        """Raise UnknownPartition or PositionGone for what cannot be followed."""
        ...

    def take(self, where: TopicPartition, offset: int, records: int, size: int) -> list[Record] | None:
        """What is in memory from an offset on; empty at the end, None when it has to be fetched.

        Holds at most ``records`` and stops growing once over ``size`` bytes.
        """
        ...

    @property
    def fetch(self) -> Callable[[TopicPartition, int, int, int], Awaitable[list[Record]]] | None:
        """As :meth:`take`, from storage; None where everything is in memory."""
        ...


def bytes_of(records: Iterable[Record]) -> int:
    """Bytes of the records' values, which is what batches are bounded by."""
    return sum(len(record.value) for record in records)


async def follow(
    source: Source, start: Mapping[TopicPartition, int], max_records: int, max_bytes: int
) -> AsyncGenerator[list[Record]]:
    """Batches from these offsets on, without end; partitions take turns to fill them.

    Who is furthest back in time has the next turn, so a follower that is behind sees records of
    different partitions in about the order they were appended in.
    """
    source.check(start)
    following = dict(start)
    times: dict[TopicPartition, int] = {}
    bell = source.bells.hang(following)
    try:
        while True:
            if source.bells.closed:
                raise LogUnavailable("the log is closed")
            bell.rung = dict.fromkeys(sorted(bell.rung, key=lambda where: times.get(where, 0)))
            if batch := await _gather(source, following, times, bell, max_records, max_bytes):
                yield batch
            else:
                await bell.wait()
    finally:
        source.bells.take_down(bell, following)


async def _gather(
    source: Source,
    following: dict[TopicPartition, int],
    times: dict[TopicPartition, int],
    bell: Bell,
    max_records: int,
    max_bytes: int,
) -> list[Record]:
    batch: list[Record] = []
    size = 0
    turns = deque(bell.rung)
    bell.rung.clear()
    while turns and len(batch) < max_records and size < max_bytes:
        where = turns.popleft()
        records = await _take(source, where, following[where], max_records - len(batch), max_bytes - size)
        if records:
            batch += records
            size += bytes_of(records)
            following[where], times[where] = records[-1].offset + 1, records[-1].timestamp
            # There may be more; it has its next turn after the others.
            bell.rung[where] = None
    bell.rung = dict.fromkeys([*turns, *bell.rung])
    return batch


async def _take(source: Source, where: TopicPartition, offset: int, records: int, size: int) -> list[Record]:
    taken = source.take(where, offset, records, size)
    if taken is not None:
        return taken
    assert source.fetch is not None
    return await source.fetch(where, offset, records, size)
