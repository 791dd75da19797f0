"""One transaction of the log: what a group of requests writes, all of it or nothing."""

import sqlite3
import time
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from itertools import chain, groupby
from operator import attrgetter
from zlib import crc32

from funcledger_event_log.records import NewRecord, Position, Record, TopicPartition
from funcledger_event_log.sqlite import chunks
from funcledger_event_log.sqlite.chunks import Address
from funcledger_event_log.sqlite.database import chunk_id
from funcledger_event_log.sqlite.partitions import Partition
from funcledger_event_log.sqlite.segment import HEAD, LARGE, Segment

_PLACE = attrgetter("topic", "partition")
#: Most chunks of one statement.
_AT_ONCE = 64


@cache
def _insert(rows: int) -> str:
    """Stores so many chunks in one call, so that the writer's thread asks for the interpreter once."""
    values = ", ".join(["(?, ?, ?, ?, ?)"] * rows)
    return f"INSERT INTO chunks (id, records, timestamp, checksum, body) VALUES {values}"  # noqa: S608


def append_time() -> int:
    """The append time, in ms, of what is written now."""
    return time.time_ns() // 1_000_000


class Transaction:
    """Gathers what requests append, then stores it partition by partition. Lives in the writer's thread."""

    def __init__(
        self, connection: sqlite3.Connection, segment: Segment, partitions: Mapping[TopicPartition, Partition]
    ) -> None:
        self._connection = connection
        self._segment = segment
        self._partitions = partitions
        #: What goes to each partition, as followers will see it.
        self.written: dict[Partition, list[Record]] = {}
        self._large: list[bytes] = []
        self._segment_end = self._segment_start = segment.end
        self._timestamp = append_time()

    def _begin(self) -> None:
        """A transaction of several statements; a single one is a transaction by itself."""
        if not self._connection.in_transaction:
            self._connection.execute("BEGIN IMMEDIATE")

    def append(self, records: Sequence[NewRecord]) -> list[Position]:
        """Take these in; returns the positions they get if the commit succeeds."""
        positions: list[Position] = []
        for (topic, number), run in groupby(records, _PLACE):
            positions += self._append(topic, number, list(run))
        return positions

    def _append(self, topic: str, number: int, run: Sequence[NewRecord]) -> list[Position]:
        partition = self._partitions[TopicPartition(topic, number)]
        records = self.written.setdefault(partition, [])
        first = partition.next + len(records)
        # The writer's event goes on to live followers, so that nobody in this process decodes it.
        records += [
            Record(topic, number, offset, self._timestamp, new.key, new.head, new.value, new.decoded)
            for offset, new in enumerate(run, first)
        ]
        return [Position(topic, number, offset) for offset in range(first, first + len(run))]

    def _place(self, value: bytes) -> bytes | Address:
        if len(value) <= LARGE:
            return value
        view = memoryview(value)
        head = crc32(view[:HEAD])
        address = Address(self._segment_end, len(value), crc32(view[HEAD:], head), head)
        self._large.append(value)
        self._segment_end += len(value)
        return address

    def create_topic(self, topic: str, partitions: int) -> list[tuple[int, int]]:
        """Make the partitions that are missing; returns ids and numbers of all there are then."""
        self._begin()
        self._connection.executemany(
            "INSERT OR IGNORE INTO partitions (topic, partition) VALUES (?, ?)",
            [(topic, partition) for partition in range(partitions)],
        )
        found = self._connection.execute("SELECT id, partition FROM partitions WHERE topic = ?", (topic,))
        return found.fetchall()

    def commit_position(self, consumer: str, where: TopicPartition, offset: int, metadata: str) -> None:
        """Keep a consumer's position."""
        self._begin()
        self._connection.execute(
            "INSERT OR REPLACE INTO consumers VALUES (?, ?, ?, ?)",
            (consumer, self._partitions[where].id, offset, metadata),
        )

    def touch(self) -> None:
        """Write a page as it is."""
        self._begin()
        self._connection.execute("UPDATE segment SET end = end")

    def commit(self) -> None:
        """Store everything; durable when it returns.

        Raises:
            sqlite3.Error, OSError: it failed; :meth:`rollback` is still to be called.
        """
        rows = list(self._rows())
        if self._large:
            self._segment.append(self._large)
            self._begin()
            self._connection.execute("UPDATE segment SET end = ?", (self._segment_end,))
        if len(rows) > _AT_ONCE:
            self._begin()
        for at in range(0, len(rows), _AT_ONCE):
            piece = rows[at : at + _AT_ONCE]
            self._connection.execute(_insert(len(piece)), list(chain.from_iterable(piece)))
        if self._connection.in_transaction:
            self._connection.execute("COMMIT")
        for partition, records in self.written.items():
            partition.next += len(records)

    def _rows(self) -> Iterator[chunks.Row]:
        for partition, records in self.written.items():
            for chunk in chunks.cut(records):
                first = chunk_id(partition.id, chunk[0].offset)
                yield chunks.Row.of(first, len(chunk), self._timestamp, chunks.pack(chunk, self._place))

    def rollback(self) -> None:
        """Undo everything; SQLite may have done so already when the disk was full."""
        if self._connection.in_transaction:
            self._connection.execute("ROLLBACK")
        self._segment.rewind(self._segment_start)
