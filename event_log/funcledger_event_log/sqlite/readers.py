"""Reading from storage, in threads of its own, for those who are not at the end of the log."""

import asyncio
import logging
import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple, TypeVar

from funcledger_event_log.port import Committed, LogCorrupt
from funcledger_event_log.records import Position, Record, TopicPartition
from funcledger_event_log.sqlite.chunks import Address, Entry, Row, unpack
from funcledger_event_log.sqlite.database import Database, chunk_id
from funcledger_event_log.sqlite.errors import READ_ERRORS, damaged, of_read
from funcledger_event_log.sqlite.partitions import Partition
from funcledger_event_log.sqlite.segment import Segment
from funcledger_schemas.codec import DecodeError, decode_head
from funcledger_schemas.envelope import Head, dataschema_of
from funcledger_schemas.events import Event

_log = logging.getLogger(__name__)
T = TypeVar("T")

#: How many read at once; each holds at most one batch in memory.
THREADS = 4

#: From the chunk that holds an offset (the last that does not begin after it) to the partition's end.
_CHUNKS = """
SELECT id, records, timestamp, checksum, body FROM chunks
WHERE id >= (SELECT max(id) FROM chunks WHERE id BETWEEN :start AND :at) AND id < :end ORDER BY id
"""

_CONSUMERS = """
SELECT consumer, topic, partitions.partition, offset, metadata
FROM consumers JOIN partitions ON partitions.id = consumers.partition ORDER BY 1, 2, 3
"""


class _Chunk(NamedTuple):
    first: int
    end: int
    timestamp: int
    entries: list[Entry]


class Readers:
    """A few threads, each with a connection."""

    def __init__(
        self,
        database: Database,
        segment: Segment,
        *,
        leave: int | None = None,
        damage: LogCorrupt | None = None,
    ) -> None:
        """``leave``: followers want no payload that is over so many bytes, so it stays on the disk."""
        #: What was found damaged first.
        self.damage = damage
        self._database = database
        self._segment = segment
        self._leave = leave
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="log readers")
        self._local = threading.local()
        self._connections: list[sqlite3.Connection] = []

    async def batch(self, partition: Partition, offset: int, records: int, size: int) -> list[Record]:
        """Records from an offset on: at most ``records``, and not growing once over ``size`` bytes."""
        return await self._run(lambda: self._batch(partition, offset, records, size))

    async def single(self, wanted: Sequence[tuple[Partition, int]]) -> dict[Position, Record]:
        """The records at these offsets, which are there."""
        return await self._run(lambda: self._single(wanted))

    async def committed(self, consumer: str, partition: Partition) -> Committed | None:
        """The position a consumer has kept."""
        return await self._run(lambda: self._committed(consumer, partition))

    async def consumers(self) -> list[tuple[str, TopicPartition, Committed]]:
        """Every position that anybody has kept."""
        return await self._run(self._consumers)

    def _consumers(self) -> list[tuple[str, TopicPartition, Committed]]:
        found = self._connection().execute(_CONSUMERS).fetchall()
        return [
            (consumer, TopicPartition(topic, partition), Committed(offset, metadata))
            for consumer, topic, partition, offset, metadata in found
        ]

    async def _run(self, work: Callable[[], T]) -> T:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, self._translated, work)
        except LogCorrupt as error:
            if self.damage is None:
                _log.error("%s", error)
                self.damage = error
            raise

    def _translated(self, work: Callable[[], T]) -> T:
        try:
            return work()
        except READ_ERRORS as error:
            raise of_read(error, self._database.path) from error

    def _connection(self) -> sqlite3.Connection:
        connection: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if connection is None:
            connection = self._local.connection = self._database.reader()
            self._connections.append(connection)
        return connection

    def _chunks(self, partition: Partition, offset: int) -> Iterator[_Chunk]:
        """The chunk that holds the offset, which is there, and those that follow without a gap."""
        start = chunk_id(partition.id, 0)
        bounds = {"start": start, "at": start + offset, "end": chunk_id(partition.id + 1, 0)}
        # Read before the query, which therefore sees at least as much. What the writer has committed and not
        # yet told of is not there for anybody.
        expected, there = offset, partition.end
        for found in self._connection().execute(_CHUNKS, bounds):
            row = Row(*found).verify()
            first = row.id - start
            chunk = _Chunk(first, min(first + row.records, there), row.timestamp, unpack(row.body))
            if not chunk.first <= expected < chunk.end:
                break
            yield chunk
            expected = chunk.end
            if expected == there:
                break
        if expected < there:
            raise damaged(self._database.path, f"offset {expected} of {partition.where} is missing")

    def _batch(self, partition: Partition, offset: int, records: int, size: int) -> list[Record]:
        batch: list[Record] = []
        for chunk in self._chunks(partition, offset):
            for at in range(max(chunk.first, offset), chunk.end):
                batch.append(self._record(partition, chunk, at, self._leave))
                size -= len(batch[-1].value)
                if size <= 0 or len(batch) >= records:
                    return batch
        return batch

    def _single(self, wanted: Sequence[tuple[Partition, int]]) -> dict[Position, Record]:
        found = {}
        chunk: _Chunk | None = None
        last: Partition | None = None
        for partition, offset in sorted(wanted, key=lambda pair: (pair[0].id, pair[1])):
            if chunk is None or partition is not last or offset >= chunk.end:
                chunk, last = next(self._chunks(partition, offset)), partition
            found[Position(*partition.where, offset)] = self._record(partition, chunk, offset)
        return found

    def _record(self, partition: Partition, chunk: _Chunk, offset: int, leave: int | None = None) -> Record:
        key, head, value = chunk.entries[offset - chunk.first]
        place = (*partition.where, offset, chunk.timestamp, key, head)
        if isinstance(value, bytes):
            return Record(*place, value)
        if leave is not None and (known := self._bare(head, value, leave)) is not None:
            return Record(*place, *known)
        return Record(*place, self._segment.read(value))

    def _bare(self, head: Head, address: Address, leave: int) -> tuple[bytes, Event] | None:
        """The beginning of a large value, and its event with no payload.

        None where the beginning says too little, and where the payload is not over ``leave`` bytes.
        """
        value = self._segment.head(address)
        try:
            event = decode_head(value, address.size, dataschema_of(head) or "")
        except DecodeError:
            return None
        return (value, event) if getattr(event, "payload_size", 0) > leave else None

    def _committed(self, consumer: str, partition: Partition) -> Committed | None:
        row = self._connection().execute(
            "SELECT offset, metadata FROM consumers WHERE consumer = ? AND partition = ?",
            (consumer, partition.id),
        )
        found = row.fetchone()
        return Committed(*found) if found else None

    def close(self) -> None:
        """Finish what is being read, then let go of the connections."""
        self._threads.shutdown()
        for connection in self._connections:
            connection.close()
