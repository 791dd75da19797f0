"""A server whose disk is full or whose log is damaged says so, its agents wait, and there is no traceback."""

import os
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
from tests.support.logs import at, collect, new
from tests.support.poll import until_sync
from tests.support.standalone import Standalone, standalone

from funcledger import Client, ServiceUnavailable
from funcledger_compose.served import Served
from funcledger_endpoint.patience import Complaint
from funcledger_event_log.port import LogCorrupt, LogFull
from funcledger_event_log.sqlite import SqliteLog
from funcledger_event_log.sqlite import log as sqlite_log

pytestmark = pytest.mark.fault(39)

MIB = 1024 * 1024


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 40 MiB."""
    where = tmp_path / "disk"
    where.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=40m", "tmpfs", str(where)]
    if os.geteuid() or subprocess.run(command, check=False, capture_output=True).returncode:
        pytest.skip("no disk of one's own can be had here")
    try:
        yield where
    finally:
        subprocess.run(["umount", "-l", str(where)], check=True)


@contextmanager
def full(disk: Path, leave: int = 0) -> Iterator[None]:
    """Nothing, or no more than so many bytes, can be written there meanwhile."""
    filler = disk / "filler"
    free = os.statvfs(disk).f_bavail * os.statvfs(disk).f_frsize
    with filler.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, free - leave)
    try:
        yield
    finally:
        filler.unlink()


def readiness(server: Standalone) -> tuple[int, dict[str, Any]]:
    answer = httpx2.get(f"{server.url}/readyz", trust_env=False, timeout=10)
    if answer.status_code == 503:
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.headers["retry-after"] == "1"
    return answer.status_code, answer.json()


def is_ready(server: Standalone) -> bool:
    return readiness(server)[0] == 200


def agent_log(server: Standalone) -> str:
    return (server.folder / "endpoints" / "local" / "endpoint.log").read_text()


def test_a_full_disk_is_told_and_when_there_is_room_again_all_goes_on(disk: Path) -> None:
    with standalone(disk / "data", "--workers", "1") as server, server.client() as client:
        size = client.register_function(len)
        before = client.run(b"abc", endpoint_id="local", function_id=size)
        assert client.get_result(before, timeout=20) == 3
        assert is_ready(server)
        with full(disk, leave=100_000):
            # Before anything was refused.
            status, problem = readiness(server)
            assert (status, problem["type"]) == (503, "urn:funcledger:problem:not-ready")
            assert problem["missing"] == ["log"]
            assert "Its disk is full: its operator must make room." in problem["detail"]
            token = (server.folder / "token").read_text().strip()
            with Client(server.url, token, patience=0.1) as hasty, pytest.raises(ServiceUnavailable):
                hasty.run(bytes(200_000), endpoint_id="local", function_id=size)
            # Signs of life still find room; that is no reason to be ready.
            time.sleep(1)
            assert not is_ready(server)
        until_sync(lambda: is_ready(server), 20)
        after = client.run(b"abcd", endpoint_id="local", function_id=size)
        assert client.get_result(after, timeout=60) == 4
        said = agent_log(server)
    assert said.count("sending signs of life:") <= 2
    assert "Traceback" not in said + server.output.read_text()


def test_up_on_a_full_disk_says_so_in_a_sentence(disk: Path) -> None:
    """With nothing there yet, with a log, and with too little room for what is written at the start."""
    data = disk / "data"
    for leave in (0, 4096, 150_000):
        with full(disk, leave):
            _refuses(data)
    with standalone(data, "--workers", "1", "--no-endpoint") as server:
        server.stop()
    for leave in (0, 8192):
        with full(disk, leave):
            _refuses(data)
    with standalone(data, "--workers", "1", "--no-endpoint") as server:
        assert is_ready(server)


def _refuses(data: Path) -> None:
    done = Standalone(data).cli("up", "--port", "0", "--no-endpoint")
    assert done.returncode == 1, done.stderr
    assert "Traceback" not in done.stderr
    (sentence,) = [line for line in done.stderr.splitlines() if line.startswith("funcledger: ")]
    assert "full" in sentence or "No space left" in sentence
    assert "--data-dir" in sentence


def _flip(file: Path, mark: bytes) -> None:
    """Change a byte in the middle of what was written with this in it."""
    content = bytearray(file.read_bytes())
    at = content.index(mark) + len(mark) // 2
    content[at] ^= 0xFF
    with file.open("r+b") as opened:
        opened.seek(at)
        opened.write(content[at : at + 1])


def _with_mark(server: Standalone, mark: bytes) -> None:
    """A task whose arguments hold the mark, and one behind it; both are finished."""
    with server.client() as client:
        size = client.register_function(len)
        for sent in (mark, b"whole"):
            task = client.run(sent, endpoint_id="local", function_id=size)
            assert client.get_result(task, timeout=30) == len(sent)


def test_a_log_found_damaged_when_a_server_starts_is_told_and_the_rest_can_be_read(tmp_path: Path) -> None:
    """Where a partition ends must be known: with its last record damaged, the log is refused."""
    data, mark = tmp_path / "data", b"here and nowhere else" * 10
    with standalone(data, "--workers", "1") as server:
        _with_mark(server, mark)
        server.stop()
    _flip(data / "log" / "log.db", mark)
    with standalone(data, "--workers", "1", "--no-endpoint") as server:
        status, problem = readiness(server)
        assert status == 503
        assert "log" in problem["missing"]
        assert "Part of it is damaged" in problem["detail"]
        assert "put back a backup" in problem["detail"]
        assert str(tmp_path) not in problem["detail"]
        with server.client() as client:
            client.register_function(len)
        server.stop()
    said = server.output.read_text()
    assert "does not fit its checksum" in said
    assert "Traceback" not in said


async def test_damage_met_while_a_log_is_read_is_told_from_then_on(tmp_path: Path) -> None:
    mark = b"here and nowhere else" * 10
    log = await SqliteLog.open(tmp_path)
    await log.create_topic("tasks", 2)
    await log.append([new(mark)])
    await log.append([new(b"whole", 1)])
    await log.close()
    log = await SqliteLog.open(tmp_path)
    assert await log.ready()
    _flip(tmp_path / "log.db", mark)
    assert len(await collect(log, {at(1): 0}, 1)) == 1
    assert await log.ready()
    with pytest.raises(LogCorrupt):
        await collect(log, {at(0): 0}, 1)
    assert not await log.ready()
    assert "damaged" in str(await log.trouble())
    assert (await log.append([new(b"more", 1)]))[0].offset == 1
    assert not await log.ready()
    await log.close()


async def test_a_log_that_nobody_writes_to_finds_out_by_itself_that_it_can_be_written_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite_log, "_TRIAL", 0.05)
    log = await SqliteLog.open(tmp_path)
    await log.create_topic("tasks", 1)
    connection = log._storage._connection
    pages = connection.execute("PRAGMA page_count").fetchone()[0]
    connection.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(LogFull):
        await log.append([new(bytes(50_000)) for _ in range(20)])
    assert await log.trouble() == sqlite_log._FULL
    connection.execute("PRAGMA max_page_count = 1073741823")
    until = time.monotonic() + 5
    while not await log.ready():
        assert time.monotonic() < until
    await log.close()


class _Damaged:
    """An agent that meets damage, as often as there is any."""

    def __init__(self, left: list[int]) -> None:
        self._left = left

    async def run(self) -> None:
        if self._left:
            self._left.pop()
            raise LogCorrupt("a record is damaged")

    def stop(self) -> None:
        """It has ended already."""


async def test_an_agent_waits_while_the_log_is_damaged_says_so_once_and_begins_anew_when_it_is_not(
    caplog: pytest.LogCaptureFixture,
) -> None:
    left, made = [1, 2, 3], []

    def make() -> Any:
        made.append(_Damaged(left))
        return made[-1]

    began = time.monotonic()
    await Served(make, first=0.02).run()
    assert len(made) == 4
    assert time.monotonic() - began > (0.02 + 0.04 + 0.08) / 2
    assert caplog.text.count("a record is damaged") == 1


def test_a_reason_is_said_once_another_one_too_and_that_it_goes_on(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    complaint = Complaint("appending")
    steps: list[Callable[[], None]] = [
        *[lambda: complaint.failed(LogFull("full"))] * 50,
        lambda: complaint.failed(LogFull("fuller")),
        complaint.succeeded,
        complaint.succeeded,
    ]
    for step in steps:
        step()
    assert [record.getMessage() for record in caplog.records] == [
        "appending: full; trying again until it succeeds",
        "appending: fuller; trying again until it succeeds",
        "appending: it goes on",
    ]


def test_an_agent_that_must_read_what_is_damaged_waits_and_says_why_once(tmp_path: Path) -> None:
    """It neither ends again and again nor asks without a pause; the tasks wait, and the server says why."""
    data, mark = tmp_path / "data", b"here and nowhere else" * 10
    with standalone(data, "--workers", "1") as server:
        _with_mark(server, b"nothing")
        server.stop()
    with standalone(data, "--no-endpoint") as server:
        with server.client() as client:
            size = client.register_function(len)
            for sent in (mark, b"whole"):
                client.run(sent, endpoint_id="local", function_id=size)
        server.stop()
    _flip(data / "log" / "log.db", mark)
    with standalone(data, "--workers", "1") as server:
        until_sync(lambda: "serving the endpoint:" in agent_log(server), 30)
        agent = server.agent_pid()
        time.sleep(5)
        assert server.agent_pid() == agent
        assert not is_ready(server)
        said = agent_log(server)
        assert said.count("serving the endpoint:") == 1
        assert "A record of this endpoint's is damaged" in said
        assert said.count("is served from task") <= 4
        server.stop()
    assert "Traceback" not in agent_log(server) + server.output.read_text()
