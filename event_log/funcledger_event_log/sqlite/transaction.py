"""One transaction of the log: what a group of requests writes, all of it or nothing."""

import sqlite3
import time
from collections.abc import Iterator, Mapping, Sequence

from funcledger_event_log.records import NewRecord, Position, Record, TopicPartition
from funcledger_event_log.sqlite import chunks
from funcledger_event_log.sqlite.chunks import Address, Entry
from funcledger_event_log.sqlite.database import chunk_id
from funcledger_event_log.sqlite.partitions import Partition
from funcledger_event_log.sqlite.segment import LARGE, Segment

_INSERT = "INSERT INTO chunks (id, count, timestamp, body) VALUES (?, ?, ?, ?)"


class _Appended:
    """What goes to one partition."""

    __slots__ = ("entries", "partition", "records")

    def __init__(self, partition: Partition) -> None:
        self.partition = partition
        self.records: list[Record] = []
        self.entries: list[Entry] = []


class Transaction:
    """Gathers what requests append, then stores it partition by partition. Lives in the writer's thread."""

    def __init__(
        self, connection: sqlite3.Connection, segment: Segment, partitions: Mapping[TopicPartition, Partition]
    ) -> None:
        self._connection = connection
        self._segment = segment
        self._partitions = partitions
        self._appended: dict[TopicPartition, _Appended] = {}
        self._large: list[bytes] = []
        self._segment_end = self._segment_start = segment.end
        self._timestamp = time.time_ns() // 1_000_000
        connection.execute("BEGIN IMMEDIATE")

    @property
    def written(self) -> list[tuple[Partition, list[Record]]]:
        """What was appended, by partition, as followers will see it."""
        return [(appended.partition, appended.records) for appended in self._appended.values()]

    def append(self, records: Sequence[NewRecord]) -> list[Position]:
        """Take these in; returns the positions they get if the commit succeeds."""
        positions = []
        for new in records:
            where = TopicPartition(new.topic, new.partition)
            appended = self._appended.get(where)
            if appended is None:
                appended = self._appended[where] = _Appended(self._partitions[where])
            offset = appended.partition.next + len(appended.records)
            # The writer's event goes on to live followers, so that nobody in this process decodes it.
            appended.records.append(
                Record(*where, offset, self._timestamp, new.key, new.headers, new.value, new.event)
            )
            appended.entries.append(Entry(new.key, new.headers, self._place(new.value)))
            positions.append(Position(*where, offset))
        return positions

    def _place(self, value: bytes) -> bytes | Address:
        if len(value) <= LARGE:
            return value
        address = Address(self._segment_end, len(value))
        self._large.append(value)
        self._segment_end += len(value)
        return address

    def create_topic(self, topic: str, partitions: int) -> list[tuple[int, int]]:
        """Make the partitions that are missing; returns ids and numbers of all there are then."""
        self._connection.executemany(
            "INSERT OR IGNORE INTO partitions (topic, partition) VALUES (?, ?)",
            [(topic, partition) for partition in range(partitions)],
        )
        found = self._connection.execute("SELECT id, partition FROM partitions WHERE topic = ?", (topic,))
        return found.fetchall()

    def commit_position(self, consumer: str, where: TopicPartition, offset: int, metadata: str) -> None:
        """Keep a consumer's position."""
        self._connection.execute(
            "INSERT OR REPLACE INTO consumers VALUES (?, ?, ?, ?)",
            (consumer, self._partitions[where].id, offset, metadata),
        )

    def commit(self) -> None:
        """Store everything; durable when it returns.

        Raises:
            sqlite3.Error, OSError: it failed; :meth:`rollback` is still to be called.
        """
        if self._large:
            self._segment.append(self._large)
            self._connection.execute("UPDATE segment SET end = ?", (self._segment_end,))
        self._connection.executemany(_INSERT, self._rows())
        self._connection.execute("COMMIT")
        for appended in self._appended.values():
            appended.partition.next += len(appended.records)

    def _rows(self) -> Iterator[tuple[int, int, int, bytes]]:
        for appended in self._appended.values():
            offset = appended.partition.next
            for entries in chunks.cut(appended.entries):
                yield (
                    chunk_id(appended.partition.id, offset),
                    len(entries),
                    self._timestamp,
                    chunks.pack(entries),
                )
                offset += len(entries)

    def rollback(self) -> None:
        """Undo everything; SQLite may have done so already when the disk was full."""
        if self._connection.in_transaction:
            self._connection.execute("ROLLBACK")
        self._segment.rewind(self._segment_start)
