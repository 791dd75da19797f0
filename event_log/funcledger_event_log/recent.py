"""The newest records of each partition, in memory for the followers who are at its end."""

from collections import deque
from collections.abc import Sequence
from typing import NamedTuple

from funcledger_event_log.records import Record, TopicPartition

#: What a record takes beside its value: objects for its headers and its decoded event.
_OVERHEAD = 2048


class Newest:
    """A partition's end as readers see it, and its newest records."""

    __slots__ = ("end", "tail", "where")

    def __init__(self, where: TopicPartition, end: int) -> None:
        self.where = where
        #: Offset after the last record readers may see; moved by the event loop alone.
        self.end = end
        #: The newest records by offset, without gaps up to the end.
        self.tail: dict[int, Record] = {}


class _Written(NamedTuple):
    partition: Newest
    first: int
    end: int
    weight: int


class RecentRecords:
    """Keeps at most ``limit`` bytes; the oldest go first, whatever their partition."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._held = 0
        self._order: deque[_Written] = deque()

    def add(self, partition: Newest, records: Sequence[Record]) -> None:
        """These were appended to the partition; its end moves past them."""
        # A decoded event holds its own copy of the payload.
        weight = 2 * sum([len(record.value) for record in records]) + _OVERHEAD * len(records)
        first, end = records[0].offset, records[-1].offset + 1
        partition.tail.update(zip(range(first, end), records, strict=True))
        partition.end = end
        self._order.append(_Written(partition, first, end, weight))
        self._held += weight
        self._shrink()

    def _shrink(self) -> None:
        while self._held > self._limit:
            oldest = self._order.popleft()
            self._held -= oldest.weight
            for offset in range(oldest.first, oldest.end):
                del oldest.partition.tail[offset]


def take(partition: Newest, offset: int, records: int, size: int) -> list[Record] | None:
    """Newest records from an offset on; empty at the end, None when it is no longer in memory.

    Holds at most ``records`` and stops growing once over ``size`` bytes.
    """
    if offset >= partition.end:
        return []
    if offset not in partition.tail:
        return None
    tail = partition.tail
    taken = [tail[at] for at in range(offset, min(offset + records, partition.end))]
    if sum([len(record.value) for record in taken]) < size:
        return taken
    for count, record in enumerate(taken, 1):
        size -= len(record.value)
        if size <= 0:
            return taken[:count]
    return taken
