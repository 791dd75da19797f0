"""The store in SQLite: a writer and its readers, each on a connection of its own, beside the event loop."""

import asyncio
import sqlite3
import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from pathlib import Path
from typing import Any, TypeVar

from funcledger_read_models.changes import Changes
from funcledger_read_models.checks import Where
from funcledger_read_models.documents import Document, Key, Model
from funcledger_read_models.port import Documents, Positions, StoreUnavailable
from funcledger_read_models.sqlite import queries
from funcledger_read_models.sqlite.file import (
    READER_CACHE,
    WRITER_CACHE,
    connect,
    prepare,
    read_positions,
    translated,
)
from funcledger_read_models.sqlite.rows import from_row
from funcledger_read_models.sqlite.statements import pieces, select
from funcledger_read_models.sqlite.writer import Writer

T = TypeVar("T")
#: Up to so many keys are looked up on the event loop: that takes less than a hop to a thread and back.
INLINE_KEYS = 16
_READERS = 2


class SqliteStore:
    """A ``ReadModelStore`` in one file.

    Readers see the last commit and never wait for the writer. Only saves made through this object, and
    those it is told of by :meth:`changed`, end :meth:`wait_change` early.
    """

    def __init__(self, path: Path, writer: Writer) -> None:
        self.path = path
        self._writer = writer
        self._changes = Changes()
        self._write_thread = ThreadPoolExecutor(1, "read-models-write")
        self._read_threads = ThreadPoolExecutor(_READERS, "read-models-read")
        self._connections: list[sqlite3.Connection] = []
        self._local = threading.local()
        self._closed = False

    @classmethod
    async def open(cls, path: Path) -> "SqliteStore":
        """Open the file at ``path``, or make it.

        Raises:
            UnusableFile: it is damaged, or not of this program and format; the message says what to do.
            StoreUnavailable: it cannot be opened now.
        """

        def opened() -> Writer:
            with translated(path):
                return cls.writer(path)

        return cls(path, await asyncio.to_thread(opened))

    @classmethod
    def writer(cls, path: Path) -> Writer:
        """The writing side of a file that is ours."""
        connection = connect(path, WRITER_CACHE)
        try:
            prepare(connection, path)
        except BaseException:
            connection.close()
            raise
        return Writer(connection)

    async def load(self, wanted: Mapping[Model, Collection[Key]]) -> dict[Model, dict[Key, Document]]:
        """As the port says."""
        if sum(map(len, wanted.values())) <= INLINE_KEYS:
            return self._do(lambda: self._load(wanted))
        return await self._read(lambda: self._load(wanted))

    def _load(self, wanted: Mapping[Model, Collection[Key]]) -> dict[Model, dict[Key, Document]]:
        return {model: self._load_model(model, tuple(keys)) for model, keys in wanted.items()}

    def _load_model(self, model: Model, keys: Sequence[Key]) -> dict[Key, Document]:
        connection = self._connection()
        made = from_row(model)
        found = {}
        for piece in pieces(keys):
            rows = connection.execute(select(model, len(piece)), list(chain.from_iterable(piece)))
            for document in map(made, rows.fetchall()):
                found[model.key_of(document)] = document
        return found

    async def save(self, documents: Documents, positions: Positions, before: Positions) -> None:
        """As the port says."""
        await self._run(self._write_thread, lambda: self._writer.save(documents, positions, before))
        self._changes.happened()

    def changed(self) -> None:
        """Another process has saved: those who wait may look."""
        self._changes.happened()

    async def positions(self) -> dict[tuple[str, int], int]:
        """As the port says."""
        return self._do(lambda: read_positions(self._connection()))

    async def wait_change(self, timeout: float) -> None:
        """As the port says."""
        await self._changes.wait(timeout)

    async def get(self, model: Model, key: Key) -> Document | None:
        """As the port says."""
        return (await self.load({model: (key,)}))[model].get(key)

    async def find(
        self,
        model: Model,
        prefix: Key = (),
        where: Where | None = None,
        *,
        after: Key | None = None,
        limit: int = 100,
        descending: bool = False,
    ) -> list[Document]:
        """As the port says."""
        return await self._query(model, *queries.page(model, prefix, where or {}, after, limit, descending))

    async def due(self, model: Model, before: int, limit: int) -> list[Document]:
        """As the port says."""
        return await self._query(model, *queries.due(model, before, limit))

    async def _query(self, model: Model, text: str, parameters: list[Any]) -> list[Document]:
        def documents() -> list[Document]:
            rows = self._connection().execute(text, parameters).fetchall()
            return list(map(from_row(model), rows))

        return await self._read(documents)

    async def close(self) -> None:
        """As the port says; what was being saved is finished."""
        if not self._closed:
            self._closed = True
            await asyncio.to_thread(self._close)

    def _close(self) -> None:
        self._write_thread.shutdown()
        self._read_threads.shutdown()
        for connection in self._connections:
            connection.close()
        self._writer.close()

    def _connection(self) -> sqlite3.Connection:
        """This thread's connection for reading."""
        connection: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if connection is None:
            connection = self._local.connection = connect(self.path, READER_CACHE)
            self._connections.append(connection)
        return connection

    async def _read(self, work: Callable[[], T]) -> T:
        return await self._run(self._read_threads, work)

    async def _run(self, threads: ThreadPoolExecutor, work: Callable[[], T]) -> T:
        self._check_open()
        return await asyncio.get_running_loop().run_in_executor(threads, self._do, work)

    def _do(self, work: Callable[[], T]) -> T:
        self._check_open()
        with translated(self.path):
            return work()

    def _check_open(self) -> None:
        if self._closed:
            raise StoreUnavailable(f"the store {self.path} is closed")
