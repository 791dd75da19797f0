"""Whatever is wrong with a backup, or with what is to be backed up, it is refused with a sentence."""

import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from tests.support.backups import fill

from funcledger_compose.backups.making import back_up
from funcledger_compose.backups.manifest import BackupError
from funcledger_compose.backups.restoring import restore
from funcledger_compose.data_dir import DataDir
from funcledger_event_log.sqlite.chunks import Address, Row, unpack


def flip(path: Path, at: int) -> None:
    damaged = bytearray(path.read_bytes())
    damaged[at] ^= 1
    path.write_bytes(damaged)


def flip_in_a_chunk(path: Path) -> None:
    """A bit of what a chunk of the log holds, wherever SQLite has put it."""
    with closing(sqlite3.connect(path)) as connection:
        (body,) = connection.execute("SELECT body FROM chunks ORDER BY id DESC LIMIT 1").fetchone()
    flip(path, path.read_bytes().index(body[:16]) + 8)


DAMAGE: dict[str, Callable[[Path], None]] = {
    "a flipped bit in the log": lambda folder: flip_in_a_chunk(folder / "log" / "log.db"),
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
    with pytest.raises(BackupError, match="is damaged") as refused:
        restore(backup, tmp_path / "new")
    assert f"the backup {backup} is damaged" in str(refused.value)
    assert ".partial" not in str(refused.value)
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
    manifest.write_text(manifest.read_text().replace('"format": 2', '"format": 77'))
    with pytest.raises(BackupError, match=r"format 77; this version reads up to 2\).*Upgrade"):
        restore(backup, tmp_path / "new")


@pytest.mark.parametrize("file", ["log.db", "log.values"])
def test_damage_in_the_original_is_found_and_no_backup_is_made(
    data: DataDir, tmp_path: Path, file: str
) -> None:
    if file == "log.values":
        flip(data.log / file, 700)
    else:
        flip_in_a_chunk(data.log / file)
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

    monkeypatch.setattr(transaction, "Address", lambda at, size, *_checksums: (at, size))
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
