"""What holds of the store in MongoDB beyond the port: who may overwrite what, and whose database it is."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from tests.support.deadlines import scaled
from tests.support.stores import Guarded, dropped, mongo_address

from funcledger_read_models.documents import (
    ENDPOINT_HEALTH,
    TASK_STATUS,
    Document,
    EndpointHealth,
    TaskStatus,
)
from funcledger_read_models.mongo import MongoStore, UnusableDatabase
from funcledger_read_models.mongo.client import Database
from funcledger_read_models.mongo.layout import prepare
from funcledger_read_models.mongo.servers import Changes, Server
from funcledger_read_models.port import StaleWriter, StoreError, StoreUnavailable
from funcledger_schemas.ids import new_id

pytestmark = pytest.mark.distributed

TASKS, RESULTS = ("tasks", 0), ("results", 0)
KEY = ("o", "t", "e")


class Paused(Guarded):
    """Lets something happen after a writer has looked at positions, and before it writes documents."""

    def __init__(self, meanwhile: Callable[[], Awaitable[None]]) -> None:
        super().__init__()
        self._meanwhile = meanwhile

    async def write(self, collection: Any, changes: Changes) -> None:
        await self._meanwhile()
        await super().write(collection, changes)


@contextlib.asynccontextmanager
async def opened(database: str, server: Server | None = None) -> AsyncIterator[MongoStore]:
    store = await MongoStore.open(mongo_address(), database, server or Guarded())
    try:
        yield store
    finally:
        await store.close()


@pytest.fixture
async def store() -> AsyncIterator[MongoStore]:
    store = await MongoStore.open(mongo_address(), new_id(), Guarded())
    yield store
    await dropped(store)


def task(**fields: Any) -> TaskStatus:
    return TaskStatus(owner="o", task_id="t", endpoint_id="e", batch_id="b", **fields)


async def save(store: MongoStore, document: TaskStatus, end: int, before: int) -> None:
    await store.save({TASK_STATUS: {KEY: document}}, {TASKS: end}, {TASKS: before})


@pytest.mark.parametrize("there_before", [False, True])
async def test_a_late_writer_that_has_passed_the_positions_overwrites_nothing(
    store: MongoStore, there_before: bool
) -> None:
    """Its successor moves on between its look at positions and its documents (a stopped process)."""
    if there_before:
        await save(store, task(attempts=1), 5, 0)

    async def successor_moves_on() -> None:
        await save(store, task(attempts=3), 12, 5)

    async with opened(store.database.name, Paused(successor_moves_on)) as late:
        await late.load({TASK_STATUS: [KEY]})
        with pytest.raises(StaleWriter):
            await save(late, task(attempts=2), 9, 5)
    assert await store.get(TASK_STATUS, KEY) == task(attempts=3)
    assert await store.positions() == {TASKS: 12}


async def test_positions_that_move_after_the_documents_are_written_refuse_the_save(store: MongoStore) -> None:
    class Overtaken(Guarded):
        async def write(self, collection: Any, changes: Changes) -> None:
            await super().write(collection, changes)
            await store.save({}, {TASKS: 6}, {TASKS: 0})

    async with opened(store.database.name, Overtaken()) as late:
        with pytest.raises(StaleWriter, match="tasks:0 has been read to 6"):
            await late.save({TASK_STATUS: {KEY: task()}}, {TASKS: 5, RESULTS: 1}, {})
    assert await store.positions() == {TASKS: 6}


async def test_of_two_writers_with_one_document_in_common_neither_loses_the_others_part(
    store: MongoStore,
) -> None:
    """An endpoint's document has parts from several partitions, which may have a projector each."""
    first: dict[tuple[str, ...], Document] = {("e",): EndpointHealth(endpoint_id="e")}
    await store.save({ENDPOINT_HEALTH: first}, {}, {})

    async def fold(writer: MongoStore, where: tuple[str, int], part: str) -> None:
        found: Any = (await writer.load({ENDPOINT_HEALTH: [("e",)]}))[ENDPOINT_HEALTH]
        setattr(found[("e",)], part, "told")
        await writer.save({ENDPOINT_HEALTH: found}, {where: 1}, {where: 0})

    other_saved = asyncio.Event()

    async def other_folds() -> None:
        if not other_saved.is_set():
            await fold(store, RESULTS, "host")
            other_saved.set()

    async with opened(store.database.name, Paused(other_folds)) as writer:
        with pytest.raises(StaleWriter, match="changed by another writer"):
            await fold(writer, ("endpoints", 0), "name")
        assert await writer.positions() == {RESULTS: 1}
        await fold(writer, ("endpoints", 0), "name")
    both = EndpointHealth(endpoint_id="e", name="told", host="told")
    assert await store.get(ENDPOINT_HEALTH, ("e",)) == both
    assert await store.positions() == {RESULTS: 1, ("endpoints", 0): 1}


@pytest.mark.parametrize("wanted", [{"$gt": ""}, [{"$gt": ""}], [None], None, 1, {"$regex": "(a+)+$"}])
async def test_attack_20_what_is_asked_for_is_never_an_operator(store: MongoStore, wanted: Any) -> None:
    await save(store, task(status="$gt"), 1, 0)
    with pytest.raises(ValueError, match="compared with text"):
        await store.find(TASK_STATUS, where={"status": wanted})
    for key in (({"$gt": ""}, "t", "e"), ("o", ["t"], "e")):
        with pytest.raises(ValueError, match="made of text"):
            await store.get(TASK_STATUS, key)  # type: ignore[arg-type]
        with pytest.raises(ValueError, match="made of text"):
            await store.find(TASK_STATUS, key)  # type: ignore[arg-type]
    assert await store.find(TASK_STATUS, where={"status": "$gt"}) == [task(status="$gt")]
    assert await store.find(TASK_STATUS, where={"status": "/.*/"}) == []


async def test_a_save_of_another_process_is_noticed(store: MongoStore) -> None:
    async with opened(store.database.name) as elsewhere:
        waiting = asyncio.create_task(store.wait_change(30))
        await asyncio.sleep(0)
        await elsewhere.save({}, {TASKS: 1}, {})
        await asyncio.wait_for(waiting, scaled(5))


async def test_what_was_saved_is_there_for_whoever_opens_it_next(store: MongoStore) -> None:
    await save(store, task(), 1, 0)
    async with opened(store.database.name) as again:
        assert await again.get(TASK_STATUS, KEY) == task()
        assert await again.positions() == {TASKS: 1}
        await save(again, task(attempts=1), 2, 1)
    with pytest.raises(StoreUnavailable, match="is closed"):
        await again.get(TASK_STATUS, KEY)


async def test_another_format_and_another_programs_database_are_refused(store: MongoStore) -> None:
    await store.database["read_models"].update_one({}, {"$set": {"format": 99}})
    with pytest.raises(UnusableDatabase, match="has format 99"):
        await MongoStore.open(mongo_address(), store.database.name)
    with pytest.raises(UnusableDatabase, match="another format"):
        await save(store, task(), 1, 0)
    await store.database["read_models"].delete_many({})
    with pytest.raises(UnusableDatabase, match="something else"):
        await MongoStore.open(mongo_address(), store.database.name)


class Contested(Database):
    """A database that another process opens, and lays out, right before or after a look at what is in it."""

    def __init__(self, name: str, *, after: bool) -> None:
        super().__init__(mongo_address(), name)
        self._after = after

    async def collections(self) -> set[str]:
        before = await super().collections()
        async with opened(self.name):
            return before if self._after else await super().collections()


@pytest.mark.parametrize("after", [False, True])
async def test_two_processes_that_open_an_empty_database_at_once_are_no_strangers(after: bool) -> None:
    database = Contested(new_id(), after=after)
    try:
        await prepare(database, Guarded())
        async with opened(database.name) as store:
            await save(store, task(), 1, 0)
    finally:
        await database.drop()
        database.close()


async def test_no_error_quotes_the_password() -> None:
    for address in ("mongodb://root:hunter2@127.0.0.1:1/", "mongodb://root:hunter2@:::/"):
        with pytest.raises(StoreError) as raised:
            await MongoStore.open(address)
        assert "hunter2" not in str(raised.value)
