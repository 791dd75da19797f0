"""Row 16: a full disk refuses appends whole, harms nothing that is there, and is recovered from."""

import resource
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest
from tests.support.logs import at, collect, new, values

from funcledger_event_log.port import LogFull
from funcledger_event_log.sqlite import SqliteLog
from funcledger_event_log.sqlite.segment import LARGE


async def _fill(log: SqliteLog, size: int) -> int:
    """Append pairs of records until the log is full; how many were taken."""
    for taken in range(0, 10_000, 2):
        try:
            await log.append([new(b"%d" % taken + bytes(size)), new(b"%d" % (taken + 1), 1)])
        except LogFull:
            return taken
    raise AssertionError("the disk was never full")


async def _check_whole(log: SqliteLog, taken: int, directory: Path) -> None:
    """All that was taken is there, and nothing of what was refused takes any space."""
    assert await log.ends("tasks") == {0: taken // 2, 1: taken // 2}
    records = await collect(log, {at(0): 0, at(1): 0}, taken)
    assert sorted(int(value.rstrip(b"\0")) for value in values(records)) == list(range(taken))
    large = sum(len(value) for value in values(records) if len(value) > LARGE)
    assert (directory / "log.values").stat().st_size == large
    with sqlite3.connect(directory / "log.db") as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    connection.close()


async def _refuse_and_recover(
    directory: Path, size: int, fill: Callable[[SqliteLog], AbstractContextManager[None]]
) -> None:
    log = await SqliteLog.open(directory)
    await log.create_topic("tasks", 2)
    with fill(log):
        taken = await _fill(log, size)
        assert not await log.ready()
        await _check_whole(log, taken, directory)
    assert (await log.append([new(b"space again")]))[0].offset == taken // 2
    assert await log.ready()
    await log.close()
    log = await SqliteLog.open(directory)
    assert await log.ends("tasks") == {0: taken // 2 + 1, 1: taken // 2}
    await log.close()


async def test_row16_the_database_cannot_grow(tmp_path: Path) -> None:
    @contextmanager
    def limited(log: SqliteLog) -> Iterator[None]:
        log._storage._connection.execute("PRAGMA max_page_count = 100")
        yield
        log._storage._connection.execute("PRAGMA max_page_count = 1073741823")

    await _refuse_and_recover(tmp_path, 1000, limited)


@pytest.mark.parametrize("size", [1000, 300_000], ids=["write-ahead log", "segment"])
async def test_row16_no_file_can_grow(tmp_path: Path, size: int) -> None:
    """The system refuses to write, in the middle of a value or of a page."""

    @contextmanager
    def limited(_log: SqliteLog) -> Iterator[None]:
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_001, hard))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    await _refuse_and_recover(tmp_path, size, limited)
