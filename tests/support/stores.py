"""Stores to test against, by name, and all that one holds as bytes."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

from funcledger_read_models.documents import MODELS
from funcledger_read_models.memory import MemoryStore
from funcledger_read_models.packing import pack
from funcledger_read_models.port import ReadModelStore
from funcledger_read_models.sqlite import SqliteStore

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


#: Every adapter of the port, by the name that selects its tests (``pytest -k sqlite``).
ADAPTERS: dict[str, Opener] = {"memory": memory, "sqlite": sqlite}


async def dump(store: ReadModelStore) -> Dump:
    """Everything the store holds but its positions."""
    return {model.name: [pack(each) for each in await store.find(model, limit=100_000)] for model in MODELS}
