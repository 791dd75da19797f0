"""Rows 1 and 2: wherever a projector dies, what it left and what it does next are as if it had not.

The store is the real one in SQLite. A crash is an exception that no projector knows, at each of three
points of each save: before anything is written, when the documents are but the positions are not, and
when all is committed but nobody has heard so. What was in memory is gone with it.
"""

import asyncio
import itertools
import sys
from pathlib import Path

import pytest
from tests.support.commands import with_topics
from tests.support.folding import caught_up, fold_into, projecting
from tests.support.histories import history, split
from tests.support.seeds import seeded
from tests.support.stores import dump

from funcledger_event_log.records import NewRecord, Record
from funcledger_event_log.sqlite import SqliteLog
from funcledger_read_models.documents import HELD_EVENTS
from funcledger_read_models.memory import MemoryStore
from funcledger_read_models.port import Documents, Positions, ReadModelStore
from funcledger_read_models.sqlite import SqliteStore
from funcledger_read_models.sqlite.file import WRITER_CACHE, connect
from funcledger_read_models.sqlite.writer import Writer

POINTS = ("before write", "after write", "after commit")


class Crash(BaseException):
    """The process is gone."""


class MortalWriter(Writer):
    """Dies at one point of one of its saves."""

    def __init__(self, path: Path, point: str, save: int) -> None:
        super().__init__(connect(path, WRITER_CACHE))
        self._point = point
        self._saves_left = save

    def _die_at(self, point: str) -> None:
        if point == self._point and self._saves_left == 0:
            raise Crash(point)

    def save(self, documents: Documents, positions: Positions, before: Positions) -> None:
        if not positions:  # copies of folded events are emptied behind their batch, which is saved by then
            super().save(documents, positions, before)
            return
        self._die_at("before write")
        super().save(documents, positions, before)
        self._die_at("after commit")
        self._saves_left -= 1

    def write_documents(self, documents: Documents) -> None:
        super().write_documents(documents)
        if set(documents) != {HELD_EVENTS}:
            self._die_at("after write")


async def test_row01_a_projector_that_dies_at_any_event_leaves_and_makes_no_difference(
    tmp_path: Path,
) -> None:
    """Each crash point at each event of a history: every record is a batch of its own."""
    random = seeded()
    records = history(random.randrange(2**32), moves=20)
    await _die_everywhere(tmp_path, records, [[record] for record in records])


async def test_row02_a_projector_that_dies_in_the_middle_of_batches_has_applied_a_prefix(
    tmp_path: Path,
) -> None:
    """The same with batches of arbitrary sizes."""
    random = seeded()
    records = history(random.randrange(2**32), moves=40)
    await _die_everywhere(tmp_path, records, [batch for batch in split(records, random) if batch])


async def _die_everywhere(folder: Path, records: list[Record], batches: list[list[Record]]) -> None:
    prefixes = await folded_so_far(batches)
    for point, save in itertools.product(POINTS, range(len(batches))):
        path = folder / f"{point} {save}"
        await (await SqliteStore.open(path)).close()
        dying = SqliteStore(path, MortalWriter(path, point, save))
        with pytest.raises(Crash):
            await fold_into(dying, batches)
        await dying.close()
        store = await SqliteStore.open(path)
        applied = save + (point == "after commit")
        assert await state(store) == prefixes[applied], (point, save)
        # The next one is given everything again, from the start, as after a rewound commit.
        await fold_into(store, [records])
        assert await state(store) == prefixes[-1], (point, save)
        await store.close()


async def test_row01_row02_a_projector_killed_again_and_again_ends_where_a_fold_of_the_log_does(
    tmp_path: Path,
) -> None:
    """A process of its own and ``kill -9``, at random moments; no position is ever ahead of its rows."""
    random = seeded()
    log = await SqliteLog.open(tmp_path / "log")
    await with_topics(log)
    records = [
        NewRecord(each.topic, each.partition, each.key, each.headers, each.value)
        for each in history(random.randrange(2**32), moves=4000)
    ]
    for first in range(0, len(records), 500):
        await log.append(records[first : first + 500])
    await log.close()
    path, kills = tmp_path / "models.db", 0
    while kills < 6 and await _killed_after(random.random() * 0.15, tmp_path / "log", path):
        kills += 1
    print(f"{kills} kills")
    assert kills > 0
    log = await SqliteLog.open(tmp_path / "log")
    replay, store = MemoryStore(), await SqliteStore.open(path)
    async with projecting(log, replay) as whole, projecting(log, store) as last:
        await caught_up(whole)
        await caught_up(last)
    assert await state(store) == await state(replay)
    await store.close()
    await log.close()


async def _killed_after(seconds: float, log: Path, models: Path) -> bool:
    """Have a process fold the log, and kill it so long after it has begun; False when it was done by then."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.support.projecting", str(log), str(models),
        stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    assert await process.stdout.readline() == b"folding\n"
    try:
        await asyncio.wait_for(process.wait(), seconds)
    except TimeoutError:
        process.kill()
        await process.communicate()
        return True
    assert process.returncode == 0
    return False


async def folded_so_far(batches: list[list[Record]]) -> list[object]:
    """Documents and positions of a fold from nothing: of no batch, of the first, of the first two, ..."""
    store = MemoryStore()
    states = [await state(store)]
    for batch in batches:
        await fold_into(store, [batch])
        states.append(await state(store))
    return states


async def state(store: ReadModelStore) -> object:
    """Documents and positions."""
    return await dump(store), await store.positions()
