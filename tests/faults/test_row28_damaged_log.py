"""Row 28: a log that is damaged, foreign or too new is refused with what to do, and never read wrongly."""

import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.support.logs import at, collect, new
from tests.support.seeds import seeded

from funcledger_event_log.records import Record
from funcledger_event_log.sqlite import LogCorrupt, SqliteLog


def _cut_short(log: Path) -> None:
    database = log / "log.db"
    database.write_bytes(database.read_bytes()[: database.stat().st_size // 2])


def _empty(log: Path) -> None:
    (log / "log.db").write_bytes(b"")


def _take_away(log: Path) -> None:
    (log / "log.db").unlink()


def _scribble(log: Path) -> None:
    (log / "log.db").write_bytes(b"this is not a database at all" * 1000)


def _cut_values_short(log: Path) -> None:
    (log / "log.values").write_bytes(b"short")


def _make_newer(log: Path) -> None:
    with sqlite3.connect(log / "log.db") as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()


def _make_foreign(log: Path) -> None:
    with sqlite3.connect(log / "log.db") as connection:
        connection.execute("PRAGMA application_id = 7")
    connection.close()


@pytest.fixture
async def directory(tmp_path: Path) -> Path:
    """A log that was closed in good order."""
    log = await SqliteLog.open(tmp_path / "log")
    await log.create_topic("tasks", 2)
    for number in range(40):
        await log.append([new(b"%d" % number * 500, number % 2) for _ in range(3)])
    await log.append([new(bytes(70_000))])
    await log.close()
    return tmp_path / "log"


async def _read(directory: Path) -> list[Record]:
    log = await SqliteLog.open(directory)
    try:
        return sorted(await collect(log, {at(0): 0, at(1): 0}, 121), key=lambda record: record.position)
    finally:
        await log.close()


@pytest.mark.parametrize(
    ("damage", "advice"),
    [
        (_cut_short, "put back a backup"),
        (_empty, "put back a backup"),
        (_take_away, "put back a backup"),
        (_scribble, "put back a backup"),
        (_cut_values_short, "put back a backup"),
        (_make_newer, "install the version that wrote it"),
        (_make_foreign, "choose another directory"),
    ],
)
async def test_row28_a_damaged_log_is_refused_with_what_to_do(
    directory: Path, damage: Callable[[Path], None], advice: str
) -> None:
    damage(directory)
    with pytest.raises(LogCorrupt, match=advice):
        await SqliteLog.open(directory)


async def test_row28_flipped_bytes_are_never_read_as_something_else(directory: Path, tmp_path: Path) -> None:
    """Wherever a byte is flipped, the log is refused, or reading fails, or all is read as it was written."""
    places = seeded()
    whole = await _read(directory)
    assert len(whole) == 121
    pristine = (directory / "log.db").read_bytes()
    refused = 0
    for attempt in range(40):
        copy = tmp_path / str(attempt)
        shutil.copytree(directory, copy)
        damaged = bytearray(pristine)
        damaged[places.randrange(len(damaged))] ^= places.randrange(1, 256)
        (copy / "log.db").write_bytes(damaged)
        try:
            assert await _read(copy) == whole
        except LogCorrupt:
            refused += 1
    assert refused > 0


async def test_row28_what_a_crash_left_behind_in_the_segment_is_harmless(directory: Path) -> None:
    """Values that were written but whose commit never came are given back when the log opens."""
    with (directory / "log.values").open("ab") as segment:
        segment.write(b"left behind")
    log = await SqliteLog.open(directory)
    assert (directory / "log.values").stat().st_size == 70_000
    await log.append([new(b"\1" * 80_000)])
    await log.close()
    records = await _read(directory)
    assert [record.value for record in records if len(record.value) > 60_000] == [
        bytes(70_000),
        b"\1" * 80_000,
    ]
