"""The embedded log as another process of its server sees it: read from its files, written by asking."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from pathlib import Path

from funcledger_event_log.port import LogUnavailable
from funcledger_event_log.records import NewRecord, Position, Record, TopicPartition
from funcledger_event_log.sqlite.database import Database
from funcledger_event_log.sqlite.files import FilesRead
from funcledger_event_log.sqlite.readers import Readers
from funcledger_event_log.sqlite.segment import Segment

#: Has the server append records; as :meth:`EventLog.append`.
Ask = Callable[[Sequence[NewRecord]], Awaitable[list[Position]]]


class SqliteView(FilesRead):
    """An ``EventLog`` for a follower beside the process that has the log open; made by :meth:`open`.

    The server says how far partitions have got (:meth:`advance`): nothing here looks for it. It alone makes
    topics and keeps consumers' positions.
    """

    def __init__(self, database: Database, segment: Segment, ask: Ask, *, leave: int | None) -> None:
        super().__init__(database.partitions, Readers(database, segment, leave=leave))
        self._segment = segment
        self._ask = ask

    @classmethod
    async def open(cls, path: Path, ask: Ask, *, leave: int | None = None) -> "SqliteView":
        """The log in this directory, which a server has open; ``ask`` has it append.

        A follower gets an event whose payload is over ``leave`` bytes with an empty one, and its record with
        the beginning of its value; :meth:`read` gives them whole.

        Raises:
            LogCorrupt, LogUnavailable, OSError: it cannot be read.
        """

        def opened() -> SqliteView:
            database = Database(path, ours=False)
            return cls(database, Segment.beside(database.segment_path), ask, leave=leave)

        return await asyncio.to_thread(opened)

    def advance(self, ends: Iterable[tuple[str, int, int]]) -> None:
        """Per topic and partition, the offset after the last record that can be read."""
        moved = []
        for topic, number, end in ends:
            partition = self._partition(TopicPartition(topic, number))
            if end > partition.end:
                partition.end = end
                moved.append(partition.where)
        self.bells.ring(moved)

    def take(self, where: TopicPartition, offset: int, _records: int, _size: int) -> list[Record] | None:
        """Nothing is in memory here."""
        return [] if offset >= self._partitions[where].end else None

    async def append(self, records: Sequence[NewRecord]) -> list[Position]:
        """As the port says, by the server."""
        if self.bells.closed:
            raise LogUnavailable("the log is closed")
        positions = await self._ask(records)
        self.advance((topic, partition, offset + 1) for topic, partition, offset in positions)
        return positions

    async def create_topic(self, topic: str, partitions: int) -> None:
        """Not from here.

        Raises:
            LogUnavailable: always.
        """
        raise LogUnavailable(f"only the server itself makes topics: not {topic!r} of {partitions} partitions")

    async def commit(self, consumer: str, where: TopicPartition, offset: int, metadata: str = "") -> None:
        """Not from here.

        Raises:
            LogUnavailable: always.
        """
        raise LogUnavailable(
            f"only the server keeps positions: not {offset}, {metadata!r} of {consumer!r} in {where}"
        )

    async def close(self) -> None:
        """As the port says."""
        if not self.bells.closed:
            self.bells.close()
            await asyncio.to_thread(self._readers.close)
            self._segment.close()
