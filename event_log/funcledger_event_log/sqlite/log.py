"""The embedded log as its users see it: what is asked on the event loop, and what is told back to it."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Collection, Sequence
from pathlib import Path
from typing import Any

from funcledger_event_log.checks import check_metadata, check_sizes
from funcledger_event_log.port import Committed, LogError, LogFull, LogUnavailable, OutcomeUnknown
from funcledger_event_log.recent import RecentRecords, take
from funcledger_event_log.records import NewRecord, Position, Record, TopicPartition
from funcledger_event_log.sqlite.files import FilesRead
from funcledger_event_log.sqlite.partitions import Partition
from funcledger_event_log.sqlite.requests import (
    Append,
    CommitPosition,
    CreateTopic,
    Group,
    Request,
    T,
    Trial,
)
from funcledger_event_log.sqlite.room import RESERVE, room
from funcledger_event_log.sqlite.storage import Storage
from funcledger_event_log.sqlite.writer import Written
from funcledger_schemas import clock

#: Newest records kept in memory, in bytes.
TAIL_BYTES = 64 * 1024 * 1024
#: Appends are refused while more than this waits to be written, in bytes.
WAITING_BYTES = 64 * 1024 * 1024
#: Seconds after a failure until it is tried whether anything can be written, unless somebody does.
_TRIAL = 5.0
_FULL = "Its disk is full: its operator must make room. Then it goes on by itself."
_FAILED = ("It could not be written to just now.", "It failed while it was written: restart the server.")


class SqliteLog(FilesRead):
    """An ``EventLog`` in one directory, for one process and one event loop; made by :meth:`open`."""

    def __init__(self, storage: Storage, loop: asyncio.AbstractEventLoop, tail_bytes: int) -> None:
        super().__init__(storage.partitions, storage.readers)
        #: Its directory.
        self.path = storage.directory
        self._storage = storage
        self._loop = loop
        self._recent = RecentRecords(tail_bytes)
        self._waiting = 0
        #: When writing failed last, or was tried again.
        self._tried = 0.0
        self._gathered: list[Request[Any]] = []
        storage.begin(self._written)

    @classmethod
    async def open(cls, path: Path, *, tail_bytes: int = TAIL_BYTES) -> "SqliteLog":
        """The log in this directory, which is made where there is none.

        About ``tail_bytes`` of the newest records stay in memory for followers.

        Raises:
            LogInUse: another process has it open.
            LogCorrupt: what is there cannot be read; the message says what to do.
            LogUnavailable, OSError: the system does not let us read or write there.
        """
        return cls(await asyncio.to_thread(Storage, path), asyncio.get_running_loop(), tail_bytes)

    @property
    def fsyncs(self) -> int:
        """Times the disk was told to sync so far: commits, large values, checkpoints."""
        return self._storage.fsyncs

    async def create_topic(self, topic: str, partitions: int) -> None:
        """As the port says."""
        for partition_id, number in await self._submit(CreateTopic(topic, partitions)):
            where = TopicPartition(topic, number)
            if where not in self._partitions:
                self._partitions[where] = Partition(where, partition_id, 0)

    async def append(self, records: Sequence[NewRecord]) -> list[Position]:
        """As the port says."""
        size = check_sizes(records)
        for topic, partition in {(record.topic, record.partition) for record in records}:
            self._partition(TopicPartition(topic, partition))
        return await self._submit(Append(records, size)) if records else []

    async def _submit(self, request: Request[T]) -> T:
        if self.bells.closed:
            raise LogUnavailable("the log is closed")
        if self._storage.broken:
            raise LogUnavailable("the log failed while it was written; restart the server")
        if self._waiting and self._waiting + request.size > WAITING_BYTES:
            raise LogUnavailable(f"{self._waiting} bytes wait to be written; try again later")
        self._waiting += request.size
        if not self._gathered:
            self._loop.call_soon(self._hand_over)
        self._gathered.append(request)
        return await request.future

    def _hand_over(self) -> None:
        """Give the writer what this turn of the event loop has brought: one commit for all of it."""
        gathered, self._gathered = self._gathered, []
        self._storage.submit(gathered)

    def _written(self, group: Group, written: Written, error: LogError | None) -> None:
        """The writer's thread has finished a group: one call tells the event loop everything."""
        self._loop.call_soon_threadsafe(self._tell, group, written, error)

    def _tell(self, group: Group, written: Written, error: LogError | None) -> None:
        for partition, records in written.items():
            self._recent.add(partition, records)
        self.bells.ring([partition.where for partition in written])
        if error is not None:
            self._tried = clock.seconds()
        for request in group:
            self._waiting -= request.size
            request.resolve(error)

    def take(self, where: TopicPartition, offset: int, records: int, size: int) -> list[Record] | None:
        """Records from an offset on, for a follower; None when they are no longer in memory."""
        return take(self._partitions[where], offset, records, size)

    async def moves(self, topics: Collection[str]) -> AsyncGenerator[dict[TopicPartition, int]]:
        """The ends of partitions of these topics, as they move; those of all of them first.

        Raises:
            LogUnavailable: the log is closed.
        """
        following = [where for where in self._partitions if where.topic in topics]
        bell = self.bells.hang(following)
        try:
            while True:
                await bell.wait()
                if self.bells.closed:
                    raise LogUnavailable("the log is closed")
                moved, bell.rung = bell.rung, {}
                yield {where: self._partitions[where].end for where in moved}
        finally:
            self.bells.take_down(bell, following)

    async def commit(self, consumer: str, where: TopicPartition, offset: int, metadata: str = "") -> None:
        """As the port says."""
        check_metadata(metadata)
        self._partition(where)
        await self._submit(CommitPosition(consumer, where, offset, metadata))

    async def consumers(self) -> list[tuple[str, TopicPartition, Committed]]:
        """Every consumer's positions, for whoever moves the log elsewhere."""
        return await self._readers.consumers()

    async def trouble(self) -> str | None:
        """As the port says: it is whole as far as it was read, can grow, and the last write was no error."""
        if self.bells.closed:
            return await super().trouble()
        if self._storage.damage is not None:
            return "Part of it is damaged: its operator must stop the server and put back a backup."
        if await asyncio.to_thread(room, self.path) < RESERVE:
            return _FULL
        await self._try_again()
        failure = self._storage.failure
        if failure is None:
            return None
        return _FULL if isinstance(failure, LogFull) else _FAILED[isinstance(failure, OutcomeUnknown)]

    async def _try_again(self) -> None:
        """Where nobody has written since it failed a while ago, see whether that was all."""
        failed = self._storage.failure
        if failed is None or self._storage.broken or clock.seconds() - self._tried < _TRIAL:
            return
        self._tried = clock.seconds()
        with contextlib.suppress(LogError):
            await self._submit(Trial())

    async def close(self) -> None:
        """As the port says."""
        if not self.bells.closed:
            self.bells.close()
            self._hand_over()
            await asyncio.to_thread(self._storage.close)
