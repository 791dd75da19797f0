"""Rows 1 and 2: wherever a projector dies, what it left and what it does next are as if it had not.

The store is the real one in SQLite. A crash is an exception that no projector knows, at each of three
points of each save: before anything is written, when the documents are but the positions are not, and
when all is committed but nobody has heard so. What was in memory is gone with it.
"""

import itertools
from pathlib import Path

import pytest
from tests.support.folding import fold_into
from tests.support.histories import history, split
from tests.support.seeds import seeded
from tests.support.stores import dump

from funcledger_event_log.records import Record
from funcledger_read_models.memory import MemoryStore
from funcledger_read_models.port import Documents, Positions, ReadModelStore
from funcledger_read_models.sqlite import SqliteStore
from funcledger_read_models.sqlite.file import connect
from funcledger_read_models.sqlite.writer import Writer

POINTS = ("before write", "after write", "after commit")


class Crash(BaseException):
    """The process is gone."""


class MortalWriter(Writer):
    """Dies at one point of one of its saves."""

    def __init__(self, path: Path, point: str, save: int) -> None:
        super().__init__(connect(path))
        self._point = point
        self._saves_left = save

    def _die_at(self, point: str) -> None:
        if point == self._point and self._saves_left == 0:
            raise Crash(point)

    def save(self, documents: Documents, positions: Positions, before: Positions) -> None:
        self._die_at("before write")
        super().save(documents, positions, before)
        self._die_at("after commit")
        self._saves_left -= 1

    def write_documents(self, documents: Documents) -> None:
        super().write_documents(documents)
        self._die_at("after write")


async def test_row01_row02_the_read_model_is_the_fold_of_the_log_at_every_crash_point(tmp_path: Path) -> None:
    random = seeded()
    records = history(random.randrange(2**32), moves=60)
    batches = [batch for batch in split(records, random) if batch]
    for point, save in itertools.product(POINTS, range(len(batches))):
        path = tmp_path / f"{point} {save}"
        await (await SqliteStore.open(path)).close()
        dying = SqliteStore(path, MortalWriter(path, point, save))
        with pytest.raises(Crash):
            await fold_into(dying, batches)
        await dying.close()
        store = await SqliteStore.open(path)
        applied = save + (point == "after commit")
        assert await state(store) == await folded(batches[:applied]), (point, save)
        # The next one is given everything again, from the start, as after a rewound commit.
        await fold_into(store, [records])
        assert await state(store) == await folded(batches), (point, save)
        await store.close()


async def folded(batches: list[list[Record]]) -> object:
    """Documents and positions of a fold of these batches from nothing."""
    store = MemoryStore()
    await fold_into(store, batches)
    return await state(store)


async def state(store: ReadModelStore) -> object:
    """Documents and positions."""
    return await dump(store), await store.positions()
