"""Backups are copies of all that was acknowledged, private, each in a directory of its own."""

import asyncio
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from tests.support.backups import LARGE, completed, files_of, fill
from tests.support.deadlines import scaled

from funcledger_compose.backups import making
from funcledger_compose.backups.making import back_up
from funcledger_compose.backups.manifest import BackupError
from funcledger_compose.backups.restoring import restore
from funcledger_compose.data_dir import DataDir, DataDirError
from funcledger_event_log.sqlite import SqliteLog
from funcledger_read_models.sqlite import SqliteStore, positions_in


async def test_what_is_restored_is_what_was_backed_up_while_the_log_was_open(tmp_path: Path) -> None:
    data = DataDir(tmp_path / "data")
    log = await fill(data)
    made = back_up(data.path, tmp_path / "backup")
    await log.append([completed(LARGE)])
    await log.close()
    assert (made.records, made.values, made.format) == ({"results": 10}, 5, data.newest)
    assert restore(tmp_path / "backup", tmp_path / "new") == made
    again = DataDir(tmp_path / "new")
    again.open()
    assert again.token() == data.token()
    log = await SqliteLog.open(again.log)
    assert await log.ends("results") == {0: 10, 1: 0}
    await log.append([completed(LARGE)])
    await log.close()
    store = await SqliteStore.open(again.read_models)
    assert await store.positions() == {("results", 0): 10}
    await store.close()


async def test_what_is_written_while_files_are_copied_is_in_all_of_them_or_in_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between any two files: a large value, and read models that have seen it. So the order is right."""
    data = DataDir(tmp_path / "data")
    log = await fill(data)
    store = await SqliteStore.open(data.read_models)
    loop = asyncio.get_running_loop()

    async def write() -> None:
        (end,) = [end for end in (await log.ends("results")).values() if end]
        await log.append([completed(LARGE)])
        await store.save({}, {("results", 0): end + 1}, {("results", 0): end})

    def written_before(work: Callable[..., None]) -> Callable[..., None]:
        def working(*given: Any) -> None:
            asyncio.run_coroutine_threadsafe(write(), loop).result(scaled(10))
            work(*given)

        return working

    for name in ("copy_database", "copy_private", "_copy_log", "_copy_read_models"):
        monkeypatch.setattr(making, name, written_before(getattr(making, name)))
    made = await asyncio.to_thread(back_up, data.path, tmp_path / "backup")
    # Those before the log's snapshot: for the step itself, for that of the read models and their file.
    assert (made.records, made.values) == ({"results": 13}, 8)
    assert await log.ends("results") == {0: 19, 1: 0}
    await store.close()
    await log.close()
    restore(tmp_path / "backup", tmp_path / "new")
    assert positions_in(tmp_path / "new" / "read_models.db") == {("results", 0): 11}


def test_all_of_it_is_private_and_the_log_is_still_written_ahead(backup: Path, tmp_path: Path) -> None:
    restore(backup, tmp_path / "new")
    for folder in (backup, tmp_path / "new"):
        for path in (folder, *folder.rglob("*")):
            mode = path.stat().st_mode & 0o777
            assert mode == (0o700 if path.is_dir() else 0o600), path
        for database in (folder / "log" / "log.db", folder / "read_models.db"):
            with closing(sqlite3.connect(database)) as connection:
                assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert set(files_of(tmp_path / "new")) == {
        "format.json", "token", "log/log.db", "log/log.values", "read_models.db",
        "endpoints/local/config.toml", "endpoints/local/credential",
    }  # fmt: skip


def test_read_models_that_are_of_no_use_are_left_out(data: DataDir, tmp_path: Path) -> None:
    with closing(sqlite3.connect(data.read_models)) as connection:
        connection.execute("PRAGMA user_version = 99")
    made = back_up(data.path, tmp_path / "backup")
    assert "read_models.db" not in made.files
    restore(tmp_path / "backup", tmp_path / "new")
    assert not (tmp_path / "new" / "read_models.db").exists()


def test_each_backup_has_a_directory_of_its_own(data: DataDir, backup: Path) -> None:
    before = files_of(backup)
    with pytest.raises(BackupError, match=r"exists\. Name a directory that does not"):
        back_up(data.path, backup)
    assert files_of(backup) == before


def test_there_must_be_a_log_to_back_up(tmp_path: Path) -> None:
    with pytest.raises(BackupError, match="no embedded log in"):
        back_up(tmp_path, tmp_path / "backup")


def test_a_restore_goes_into_a_new_or_empty_directory_only(backup: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    restore(backup, tmp_path / "empty")
    with pytest.raises(BackupError, match=r"is not empty\. Name a directory"):
        restore(backup, tmp_path / "empty")
    (tmp_path / "file").write_text("something")
    with pytest.raises(BackupError, match=r"is not empty\. Name a directory"):
        restore(backup, tmp_path / "file")


def test_no_server_is_started_on_a_backup_itself(backup: Path) -> None:
    before = files_of(backup)
    with pytest.raises(DataDirError, match=r"is a backup, .*funcledger restore"):
        DataDir(backup).open()
    assert files_of(backup) == before


def test_what_a_killed_backup_left_is_cleared_away_by_the_next(data: DataDir, tmp_path: Path) -> None:
    left = tmp_path / ".backup.partial"
    shutil.copytree(data.path, left)
    back_up(data.path, tmp_path / "backup")
    assert not left.exists()
    restore(tmp_path / "backup", tmp_path / "new")
