"""Stores to test against, by name, and all that one holds as bytes."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import msgspec
import pytest
from tests.support import parts

from funcledger_read_models.documents import HELD_EVENTS, MODELS, Document, TaskStatus
from funcledger_read_models.memory import MemoryStore
from funcledger_read_models.mongo import MongoStore
from funcledger_read_models.mongo.servers import Mongo
from funcledger_read_models.packing import pack
from funcledger_read_models.port import ReadModelStore
from funcledger_read_models.sqlite import SqliteStore
from funcledger_schemas.ids import new_id

#: Opens an empty store; the directory is there for what it wants to keep.
Opener = Callable[[Path], AbstractAsyncContextManager[ReadModelStore]]
#: Per model its documents as bytes, in key order.
Dump = dict[str, list[bytes]]


@asynccontextmanager
async def memory(_directory: Path) -> AsyncIterator[MemoryStore]:
    """The store in memory."""
    yield MemoryStore()


@asynccontextmanager
async def sqlite(directory: Path) -> AsyncIterator[SqliteStore]:
    """The embedded store."""
    store = await SqliteStore.open(directory / "read_models.db")
    try:
        yield store
    finally:
        await store.close()


@asynccontextmanager
async def mongo(_directory: Path) -> AsyncIterator[MongoStore]:
    """A database of its own, with the statements that MongoDB gets whatever the server is."""
    store = await MongoStore.open(mongo_address(), new_id(), Guarded())
    try:
        yield store
    finally:
        await dropped(store)


@asynccontextmanager
async def mongo_as_found(_directory: Path) -> AsyncIterator[MongoStore]:
    """A database of its own, used in the way that suits the server."""
    store = await MongoStore.open(mongo_address(), new_id())
    try:
        yield store
    finally:
        await dropped(store)


class Guarded(Mongo):
    """What MongoDB gets, without the kind of index that its stand-in refuses."""

    def __init__(self) -> None:
        self.partial_indexes = parts.containers()


def mongo_address() -> str:
    """Where the server for all tests is."""
    return f"mongodb://{parts.mongo().address}/"


async def dropped(store: MongoStore) -> None:
    """Delete what the store holds, and close it."""
    await store.database.drop()
    await store.close()


#: Every adapter of the port, by the name that selects its tests (``pytest -k sqlite``).
ADAPTERS: dict[str, Opener] = {
    "memory": memory,
    "sqlite": sqlite,
    "mongo": mongo,
    "mongo_as_found": mongo_as_found,
}
#: The same as parameters of a fixture; what needs a server can be left out (``-m 'not distributed'``).
STORES = [
    pytest.param(name, marks=[pytest.mark.distributed] if name.startswith("mongo") else [])
    for name in ADAPTERS
]


async def dump(store: ReadModelStore) -> Dump:
    """Everything the store holds but its positions, and the events that no fold was given yet."""
    shown = [model for model in MODELS if model is not HELD_EVENTS]
    return {
        model.name: [pack(_shown(each)) for each in await store.find(model, limit=100_000)] for model in shown
    }


def _shown(document: Document) -> Document:
    """The document without the count of what waits for its task's submission."""
    if isinstance(document, TaskStatus):
        return msgspec.structs.replace(document, held=0, held_until=-1)
    return document
