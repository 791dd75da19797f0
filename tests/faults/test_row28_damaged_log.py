"""Row 28: a log that is damaged, foreign or too new is refused with what to do, and never read wrongly."""

import asyncio
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from tests.support.deadlines import scaled
from tests.support.logs import at, collect, new
from tests.support.seeds import seeded
from tests.support.standalone import Standalone, standalone

from funcledger import RequestError
from funcledger_compose.data_dir import DataDir
from funcledger_event_log.records import Record
from funcledger_event_log.sqlite import LogCorrupt, SqliteLog
from funcledger_event_log.sqlite.chunks import Row, unpack
from funcledger_event_log.sqlite.database import FORMAT
from funcledger_schemas.envelope import extra_of


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


def _contents(records: list[Record]) -> list[tuple[object, ...]]:
    return [(each.position, each.timestamp, each.key, each.headers, each.value) for each in records]


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
    whole = _contents(await _read(directory))
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
            assert _contents(await _read(copy)) == whole
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


async def test_row28_a_flipped_byte_anywhere_in_a_large_value_is_refused_when_it_is_read(
    directory: Path,
) -> None:
    """Of the file of large values nothing is checked when the log opens: it may be large."""
    places = seeded()
    with (directory / "log.values").open("r+b") as segment:
        for at in [0, 69_999, *(places.randrange(70_000) for _ in range(10))]:
            segment.seek(at)
            segment.write(b"\x01")
            segment.flush()
            with pytest.raises(LogCorrupt, match=r"log\.values is damaged.*put back a backup"):
                await _read(directory)
            segment.seek(at)
            segment.write(b"\0")
            segment.flush()
    assert len(await _read(directory)) == 121


async def test_row28_a_log_of_the_format_before_is_read_and_is_of_todays_from_then_on(
    directory: Path,
) -> None:
    """Format 1 had no checksums of large values, and every header of every record."""
    with sqlite3.connect(directory / "log.db") as connection:
        connection.execute("PRAGMA user_version = 1")
        for chunk in connection.execute(
            "SELECT id, records, timestamp, checksum, body FROM chunks"
        ).fetchall():
            entries = unpack(chunk[4])
            headers = list(dict.fromkeys(header for entry in entries for header in extra_of(entry.head)))
            numbers = [[headers.index(header) for header in extra_of(entry.head)] for entry in entries]
            values = [entry.value if isinstance(entry.value, bytes) else entry.value[:2] for entry in entries]
            body = msgspec.msgpack.encode((headers, [entry.key for entry in entries], numbers, values))
            row = Row.of(chunk[0], chunk[1], chunk[2], body)
            connection.execute("UPDATE chunks SET checksum = ?, body = ? WHERE id = ?", (*row[3:], row.id))
    connection.close()
    assert [len(record.value) for record in await _read(directory)].count(70_000) == 1
    log = await SqliteLog.open(directory)
    await log.append([new(b"\1" * 80_000)])
    await log.close()
    with sqlite3.connect(directory / "log.db") as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (FORMAT,)
    connection.close()


@pytest.mark.parametrize("damage", [_scribble, _make_newer, _cut_values_short])
def test_row28_a_server_does_not_start_on_a_damaged_log_and_says_what_to_do(
    tmp_path: Path, damage: Callable[[Path], None]
) -> None:
    """One sentence, no traceback."""
    data = tmp_path / "data"
    DataDir(data).open()
    asyncio.run(_made(data / "log"))
    damage(data / "log")
    done = Standalone(data).cli("up", "--port", "0", "--no-endpoint")
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert str(data / "log") in done.stderr
    assert "put back a backup" in done.stderr or "install the version" in done.stderr


async def _made(path: Path) -> None:
    log = await SqliteLog.open(path)
    await log.create_topic("tasks", 1)
    await log.append([new(bytes(70_000))])
    await log.close()


def test_row28_a_server_tells_of_damage_it_meets_and_gives_no_wrong_value(tmp_path: Path) -> None:
    """Read models are made anew; of a large value an error says so, and the others are served."""
    with standalone(tmp_path / "data", "--workers", "1") as server:
        with server.client() as client:
            echo = client.register_function(bytes)
            large = client.run(b"a" * 100_000, endpoint_id="local", function_id=echo)
            small = client.run(b"b", endpoint_id="local", function_id=echo)
            assert len(client.get_result(large, timeout=scaled(20))) == 100_000
            assert client.get_result(small, timeout=scaled(20)) == b"b"
        server.stop()
        models = server.folder / "read_models.db"
        models.write_bytes(models.read_bytes()[:8192] + b"\xff" * 8192 * 4)
        server._options = ("--no-endpoint",)
        server.start()
        assert "read models are made anew" in server.output.read_text()
        with server.client() as client:
            assert client.get_result(large, timeout=scaled(20)) == b"a" * 100_000
        server.stop()
        values = server.folder / "log" / "log.values"
        values.write_bytes(values.read_bytes()[:-1000] + b"b" * 1000)
        server.start()
        with server.client() as client:
            assert client.get_result(small, timeout=scaled(20)) == b"b"
            with pytest.raises(RequestError, match=r"damaged.*put back a backup"):
                client.get_result(large, timeout=scaled(20))
        assert "log.values is damaged" in server.output.read_text()
        server.stop()
        models.unlink()
        done = server.cli("up", "--port", "0", "--no-endpoint")
        assert done.returncode == 1
        assert "log.values is damaged" in done.stderr.splitlines()[-1]
        assert "put back a backup" in done.stderr.splitlines()[-1]
