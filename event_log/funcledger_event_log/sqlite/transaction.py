"""One transaction of the log: what a group of requests writes, all of it or nothing."""

import sqlite3
import time
from collections.abc import Iterator, Mapping, Sequence
from zlib import crc32

from funcledger_event_log.records import NewRecord, Position, Record, TopicPartition
from funcledger_event_log.sqlite import chunks
from funcledger_event_log.sqlite.chunks import Address
from funcledger_event_log.sqlite.database import chunk_id
from funcledger_event_log.sqlite.partitions import Partition
from funcledger_event_log.sqlite.segment import LARGE, Segment

_INSERT = "INSERT INTO chunks (id, records, timestamp, checksum, body) VALUES (?, ?, ?, ?, ?)"


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
        connection.execute("BEGIN IMMEDIATE")

    def append(self, records: Sequence[NewRecord]) -> list[Position]:
        """Take these in; returns the positions they get if the commit succeeds."""
        return [self._append(new) for new in records]

    def _append(self, new: NewRecord) -> Position:
        topic, number = new.topic, new.partition
        partition = self._partitions[TopicPartition(topic, number)]
        records = self.written.get(partition)
        if records is None:
            records = self.written[partition] = []
        offset = partition.next + len(records)
        # The writer's event goes on to live followers, so that nobody in this process decodes it.
        records.append(
            Record(topic, number, offset, self._timestamp, new.key, new.head, new.value, new.decoded)
        )
        return Position(topic, number, offset)

    def _place(self, value: bytes) -> bytes | Address:
        if len(value) <= LARGE:
            return value
        address = Address(self._segment_end, len(value), crc32(value))
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
        rows = list(self._rows())
        if self._large:
            self._segment.append(self._large)
            self._connection.execute("UPDATE segment SET end = ?", (self._segment_end,))
        self._connection.executemany(_INSERT, rows)
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
