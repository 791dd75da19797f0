"""FAULTS 1, 2 and 15 in MongoDB: projectors that die in the middle of a save, and a database that does.

There is no transaction to hide in: a projector that dies leaves any part of a save's documents behind.
"""

from pathlib import Path
from random import Random
from typing import Any

import pytest
from tests.support import parts
from tests.support.folding import append, fold_into, log_with, projecting, replayed
from tests.support.histories import history, split
from tests.support.poll import until
from tests.support.seeds import seeded
from tests.support.stores import Guarded, dropped, dump, mongo_address

from funcledger_projectors.runner import Projector
from funcledger_read_models.documents import TASK_STATUS
from funcledger_read_models.memory import MemoryStore
from funcledger_read_models.mongo import MongoStore
from funcledger_read_models.mongo.servers import Changes
from funcledger_read_models.port import StoreUnavailable
from funcledger_schemas.ids import new_id

pytestmark = pytest.mark.distributed

#: Times that projectors die in one history.
DEATHS = 25


class Crash(BaseException):
    """The process is gone."""


class Mortal(Guarded):
    """Dies after some writes to collections, having done any part of the last one."""

    def __init__(self, random: Random) -> None:
        super().__init__()
        self._random = random
        self._left = random.randint(0, 5)

    async def write(self, collection: Any, changes: Changes) -> None:
        if self._left:
            self._left -= 1
            await super().write(collection, changes)
            return
        share = self._random.choice((0.0, 0.5, 1.0))
        new = [each for each in changes.new if self._random.random() < share]
        changed = [each for each in changes.changed if self._random.random() < share]
        await super().write(collection, Changes(new, changed))
        raise Crash


async def test_row01_row02_wherever_projectors_die_the_read_models_end_as_the_fold_of_the_log() -> None:
    random = seeded()
    records = history(random.randrange(2**32), moves=250)
    database = new_id()
    for _ in range(DEATHS):
        dying = await MongoStore.open(mongo_address(), database, Mortal(random))
        with pytest.raises(Crash):
            await fold_into(dying, split(records, random))
        await dying.close()
    store = await MongoStore.open(mongo_address(), database, Guarded())
    reached = await store.positions()
    assert any(each.offset >= reached.get((each.topic, each.partition), 0) for each in records)
    await fold_into(store, split(records, random))
    expected = MemoryStore()
    await fold_into(expected, [records])
    assert await dump(store) == await dump(expected)
    assert await store.positions() == await expected.positions()
    await dropped(store)


async def test_row15_projectors_and_readers_outlive_the_database(tmp_path: Path) -> None:
    """Readers are told so while it is gone, the log takes what comes, and then the projector goes on."""
    records = history(seeded().randrange(2**32), moves=80)
    half = len(records) // 2
    server = parts.own_mongo(tmp_path / "mongo")
    try:
        store = await MongoStore.open(f"mongodb://{server.address}/")
        log = await log_with(records[:half])
        async with projecting(log, store) as projector:
            await until(lambda: caught_up(projector), timeout=30)
            server.kill()
            await append(log, records[half:])
            with pytest.raises(StoreUnavailable):
                await store.get(TASK_STATUS, ("o", "t", "e"))
            with pytest.raises(StoreUnavailable):
                await store.save({}, {}, {})
            assert await projector.lag() >= len(records) - half
            assert projector.failed is None
            server.start()
            await until(lambda: caught_up(projector), timeout=30)
            assert await dump(store) == await replayed(log)
        await store.close()
    finally:
        server.stop()


async def caught_up(projector: Projector) -> bool:
    return await projector.lag() == 0
