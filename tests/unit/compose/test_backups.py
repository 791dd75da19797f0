"""Backups are copies of what was acknowledged; whatever is wrong with one, it is refused with a sentence."""

import asyncio
import hashlib
import os
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.support.queries import Task

from funcledger_compose.backups import making
from funcledger_compose.backups.making import back_up
from funcledger_compose.backups.manifest import BackupError
from funcledger_compose.backups.restoring import restore
from funcledger_compose.data_dir import DataDir, DataDirError
from funcledger_compose.files import write_private
from funcledger_event_log.records import NewRecord
from funcledger_event_log.sqlite import SqliteLog
from funcledger_event_log.sqlite.chunks import Address, Row, unpack
from funcledger_read_models.sqlite import SqliteStore, positions_in

#: A payload that stands in the file of large values.
LARGE = bytes(range(256)) * 400


def completed(payload: bytes) -> NewRecord:
    """An outcome with this payload, told as it is."""
    event = msgspec.structs.replace(
        Task().completed(payload), payload_sha256=hashlib.sha256(payload).hexdigest()
    )
    return NewRecord.of(event, 0)


async def fill(data: DataDir) -> SqliteLog:
    """Something of every kind; the log is still open."""
    data.open()
    data.token()
    log = await SqliteLog.open(data.log)
    await log.create_topic("results", 2)
    for number in range(5):
        await log.append([completed(b"%d" % number)])
        await log.append([completed(LARGE + b"%d" % number)])
    store = await SqliteStore.open(data.read_models)
    await store.save({}, {("results", 0): 10}, {("results", 0): 0})
    await store.close()
    local = data.endpoints / "local"
    local.mkdir(parents=True)
    for name in ("config.toml", "credential"):
        write_private(local / name, name)
    (local / "endpoint.log").write_text("not a thing to keep")
    return log


@pytest.fixture
async def data(tmp_path: Path) -> DataDir:
    """A data directory whose server has stopped."""
    directory = DataDir(tmp_path / "data")
    await (await fill(directory)).close()
    return directory


@pytest.fixture
async def backup(data: DataDir, tmp_path: Path) -> Path:
    back_up(data.path, tmp_path / "backup")
    return tmp_path / "backup"


def files_of(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


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
            asyncio.run_coroutine_threadsafe(write(), loop).result(10)
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


def flip(path: Path, at: int) -> None:
    damaged = bytearray(path.read_bytes())
    damaged[at] ^= 1
    path.write_bytes(damaged)


DAMAGE: dict[str, Callable[[Path], None]] = {
    "a flipped bit in the log": lambda folder: flip(folder / "log" / "log.db", -300),
    "a flipped bit in a value": lambda folder: flip(folder / "log" / "log.values", 1000),
    "values cut short": lambda folder: os.truncate(folder / "log" / "log.values", 1000),
    "no values": lambda folder: (folder / "log" / "log.values").unlink(),
    "no log": lambda folder: (folder / "log" / "log.db").unlink(),
    "another token": lambda folder: flip(folder / "token", 5),
    "a flipped bit in read models": lambda folder: flip(folder / "read_models.db", 9000),
    "a manifest cut short": lambda folder: os.truncate(folder / "backup.json", 100),
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_a_damaged_backup_is_refused_and_nothing_is_left(
    backup: Path, tmp_path: Path, damage: Callable[[Path], None]
) -> None:
    damage(backup)
    with pytest.raises(BackupError, match="is damaged"):
        restore(backup, tmp_path / "new")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["backup", "data"]


def test_a_directory_that_is_no_backup_is_refused(data: DataDir, tmp_path: Path) -> None:
    with pytest.raises(BackupError, match=r"is not a backup of funcledger: it has no backup\.json"):
        restore(data.path, tmp_path / "new")


def test_a_backup_that_names_files_elsewhere_is_refused(backup: Path, tmp_path: Path) -> None:
    manifest = backup / "backup.json"
    manifest.write_text(manifest.read_text().replace('"token"', '"../data/token"'))
    with pytest.raises(BackupError, match="names a file outside of itself"):
        restore(backup, tmp_path / "new")


def test_a_backup_of_a_newer_version_is_refused_with_both_numbers(backup: Path, tmp_path: Path) -> None:
    manifest = backup / "backup.json"
    manifest.write_text(manifest.read_text().replace('"format": 1', '"format": 77'))
    with pytest.raises(BackupError, match=r"format 77; this version reads up to 1\).*Upgrade"):
        restore(backup, tmp_path / "new")


@pytest.mark.parametrize("file", ["log.db", "log.values"])
def test_damage_in_the_original_is_found_and_no_backup_is_made(
    data: DataDir, tmp_path: Path, file: str
) -> None:
    flip(data.log / file, 700 if file == "log.values" else -300)
    with pytest.raises(BackupError, match="the original is damaged: ") as refused:
        back_up(data.path, tmp_path / "backup")
    assert (str(data.log) in str(refused.value)) == (file == "log.values")
    assert ".partial" not in str(refused.value)
    assert [path.name for path in tmp_path.iterdir()] == ["data"]


async def test_a_payload_from_before_values_had_checksums_is_held_to_its_events_sha256(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As format 1 of the log wrote its addresses."""
    from funcledger_event_log.sqlite import transaction

    monkeypatch.setattr(transaction, "Address", lambda at, size, _checksum: (at, size))
    data = DataDir(tmp_path / "data")
    await (await fill(data)).close()
    with closing(sqlite3.connect(data.log / "log.db")) as connection:
        rows = [Row(*row) for row in connection.execute("SELECT * FROM chunks")]
    addresses = [e.value for row in rows for e in unpack(row.body) if isinstance(e.value, Address)]
    assert len(addresses) == 5
    assert {each.checksum for each in addresses} == {None}
    flip(data.log / "log.values", addresses[3].at + addresses[3].size - 50)
    with pytest.raises(BackupError, match="the payload of results/0@7 does not fit its SHA-256"):
        back_up(data.path, tmp_path / "backup")


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
