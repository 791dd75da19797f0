"""Read models that are of no use are made anew from the log, and a line in the server's log says why."""

import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import pytest
from tests.support import logs
from tests.support.logs import new

from funcledger_compose.data_dir import DataDirError
from funcledger_compose.read_models_file import open_read_models
from funcledger_event_log.sqlite import SqliteLog
from funcledger_read_models.sqlite import file as format_of


@pytest.fixture
async def log(tmp_path: Path) -> AsyncIterator[SqliteLog]:
    """Three records."""
    async with logs.sqlite(tmp_path) as opened:
        await opened.create_topic("tasks", 1)
        await opened.append([new(b"x")] * 3)
        yield opened


async def written(file: Path, log: SqliteLog, position: int = 2) -> None:
    store = await open_read_models(file, log)
    await store.save({}, {("tasks", 0): position}, {})
    await store.close()


def execute(file: Path, statement: str) -> None:
    with closing(sqlite3.connect(file)) as connection:
        connection.execute(statement)


async def reopened(file: Path, log: SqliteLog) -> dict[tuple[str, int], int]:
    store = await open_read_models(file, log)
    try:
        return await store.positions()
    finally:
        await store.close()


async def test_what_is_of_use_is_kept(
    log: SqliteLog, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    await written(tmp_path / "rm.db", log)
    assert await reopened(tmp_path / "rm.db", log) == {("tasks", 0): 2}
    assert caplog.text == ""


@pytest.mark.parametrize("version", [format_of.FORMAT - 1, format_of.FORMAT + 1])
async def test_those_of_another_version_older_or_newer_are_made_anew(
    log: SqliteLog, tmp_path: Path, caplog: pytest.LogCaptureFixture, version: int
) -> None:
    await written(tmp_path / "rm.db", log)
    execute(tmp_path / "rm.db", f"PRAGMA user_version = {version}")
    assert await reopened(tmp_path / "rm.db", log) == {}
    assert f"has format {version}, this version reads format {format_of.FORMAT}" in caplog.text
    assert "made anew from the log" in caplog.text


async def test_damaged_ones_are_made_anew(
    log: SqliteLog, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    await written(tmp_path / "rm.db", log)
    (tmp_path / "rm.db").write_bytes(b"not a database" * 1000)
    assert await reopened(tmp_path / "rm.db", log) == {}
    assert "is damaged" in caplog.text


async def test_those_of_another_log_which_has_come_further_are_made_anew(
    log: SqliteLog, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Else the records up to there would never be folded."""
    await written(tmp_path / "rm.db", log, position=4)
    assert await reopened(tmp_path / "rm.db", log) == {}
    assert "reflects tasks/0 up to 4, which the log does not hold" in caplog.text


async def test_some_other_programs_file_is_left_alone(log: SqliteLog, tmp_path: Path) -> None:
    execute(tmp_path / "rm.db", "CREATE TABLE theirs (x)")
    with pytest.raises(DataDirError, match="of some other program; name another file"):
        await open_read_models(tmp_path / "rm.db", log)
    execute(tmp_path / "rm.db", "SELECT x FROM theirs")
