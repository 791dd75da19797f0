"""ATTACKS 29: a function that takes more memory, processes or time than it may is ended, with all it started.

The bombs here are real, and small: each stops by itself at some hundred processes.
"""

import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest
from tests.support import bombs
from tests.support.endpoint import Endpoint
from tests.support.poll import until

from funcledger_endpoint.local.family import tasks_of_user
from funcledger_endpoint.local.limits import Limits
from funcledger_payloads import load

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the kernel's limits are Linux's")
MB = 1_000_000


def square(n: int) -> int:
    return n * n


def noted(note: Path) -> list[int]:
    """The process ids in a file."""
    return [int(line) for line in note.read_text().split()] if note.exists() else []


def alive(note: Path) -> list[int]:
    """Those of the processes in a file that still run; one begun since has been given the id of another."""
    found = []
    for pid in noted(note):
        try:
            process = psutil.Process(pid)
            begun_since = process.create_time() > note.stat().st_mtime + 1
            if process.status() != psutil.STATUS_ZOMBIE and not begun_since:
                found.append(pid)
        except psutil.NoSuchProcess:
            continue
    return found


@pytest.fixture
def note(tmp_path: Path) -> Any:
    """Where functions leave the ids of what they start; none of it outlives the test."""
    path = tmp_path / "pids"
    yield path
    for pid in alive(path):
        os.kill(pid, signal.SIGKILL)


@asynccontextmanager
async def limited(**limits: Any) -> AsyncIterator[Endpoint]:
    endpoint = await Endpoint.create()
    async with endpoint.agent(2, limits=Limits(**limits)):
        yield endpoint


async def failed(endpoint: Endpoint, function: Callable[..., Any], *args: Any, **fields: Any) -> Any:
    """The failure of a call, beside which neighbours finish."""
    before = await endpoint.submit_many(square, range(4))
    task = await endpoint.submit(function, *args, **fields)
    after = await endpoint.submit_many(square, range(4))
    outcomes = await endpoint.outcomes([*before, task, *after], 30.0)
    assert {type(outcomes[each]).__name__ for each in (*before, *after)} == {"TaskCompleted"}
    assert await endpoint.value(await endpoint.submit(square, 5), 30.0) == 25
    return outcomes[task]


@pytest.mark.parametrize("sessions", [False, True], ids=["in its process group", "in sessions of their own"])
async def test_row_29_a_fork_bomb_is_ended_whole(note: Path, sessions: bool) -> None:
    async with limited(processes=40) as endpoint:
        event = await failed(endpoint, bombs.fork_bomb, str(note), sessions)
    assert event.kind == "LimitExceeded"
    assert "this endpoint's limit is 40 (`processes` in its config.toml)" in event.message
    assert len(noted(note)) > 5  # others were ended before they came to it
    await until(lambda: not alive(note), 10.0)


async def test_row_29_threads_count_like_processes() -> None:
    async with limited(processes=40) as endpoint:
        event = await failed(endpoint, bombs.many_threads, 60)
        assert (event.kind, event.attempt) == ("LimitExceeded", 1)
        # Below the limit it may have as many as it likes.
        assert await endpoint.value(await endpoint.submit(square, 2)) == 4


async def test_row_29_memory_over_the_endpoints_limit_is_the_functions_own_memory_error() -> None:
    async with limited(memory=300 * MB) as endpoint:
        event = await failed(endpoint, bombs.hoard, 1000)
        assert (event.kind, event.error_type, event.attempt) == ("Exception", "MemoryError", 1)
        assert event.message == (
            "out of memory: this endpoint's limit is 300 MB (`memory` in its config.toml)"
        )
        error = load(event.payload_format, event.payload)
        assert isinstance(error, MemoryError)
        assert str(error) == event.message
        assert event.peak_memory < 400 * MB
        assert await endpoint.value(await endpoint.submit(bombs.hoard, 150)) == 150


async def test_row_29_a_task_may_ask_for_a_limit_of_its_own() -> None:
    """It holds for that task alone, and never above the endpoint's."""
    async with limited(memory=500 * MB) as endpoint:
        asked = {"resource_specification": '{"memory_limit":200000000}'}
        event = await failed(endpoint, bombs.hoard, 300, **asked)
        assert event.message == "out of memory: the task's limit is 200 MB (`memory`)"
        assert await endpoint.value(await endpoint.submit(bombs.hoard, 300), 30.0) == 300
        asked = {"resource_specification": '{"memory_limit":9000000000}'}
        event = await failed(endpoint, bombs.hoard, 1000, **asked)
        assert "this endpoint's limit is 500 MB" in event.message


async def test_row_29_memory_of_all_that_a_call_started_counts_together(note: Path) -> None:
    async with limited(memory=300 * MB) as endpoint:
        event = await failed(endpoint, bombs.hoard_in_children, 3, 150, str(note))
    assert (event.kind, event.attempt) == ("LimitExceeded", 1)
    assert "of memory; this endpoint's limit is 300 MB" in event.message
    await until(lambda: not alive(note), 10.0)


def fork_and_share(note: str) -> int:
    """Four children that have all that their parent has, and nothing of their own."""
    import os
    import time

    held = bytearray(150_000_000)
    children = []
    for _ in range(4):
        if (child := os.fork()) == 0:
            time.sleep(1.0)
            os._exit(held[0])
        children.append(child)
    for child in children:
        os.waitpid(child, 0)
    return len(children)


async def test_row_29_memory_that_processes_share_counts_once(note: Path) -> None:
    """Five times 150 MB by the books, 150 MB in truth."""
    async with limited(memory=400 * MB) as endpoint:
        assert await endpoint.value(await endpoint.submit(fork_and_share, str(note)), 30.0) == 4


def abort_for_memory() -> None:
    """What a library does that cannot allocate."""
    import os

    os.abort()


async def test_row_29_a_worker_that_dies_under_a_limit_has_it_named() -> None:
    async with limited(memory=300 * MB) as endpoint:
        event = await failed(endpoint, abort_for_memory, max_attempts=1)
    assert event.kind == "WorkerDied"
    assert "SIGABRT" in event.message
    assert "this endpoint's limit is 300 MB" in event.message


@pytest.mark.parametrize(
    ("limits", "fields", "names"),
    [
        ({"walltime": 0.5}, {}, "this endpoint's limit is 0.5 s (`walltime` in its config.toml)"),
        ({"walltime": 0.5}, {"walltime": 60.0}, "this endpoint's limit is 0.5 s"),
        ({"walltime": 60.0}, {"walltime": 0.5}, "its walltime is 0.5 s"),
    ],
)
async def test_row_29_over_its_time_a_call_is_ended_with_its_children(
    note: Path, limits: dict[str, Any], fields: dict[str, Any], names: str
) -> None:
    """Deaf to SIGTERM, and with a child in a session of its own."""
    async with limited(**limits) as endpoint:
        event = await failed(endpoint, bombs.overstay, 30.0, str(note), **fields)
    assert (event.kind, event.attempt) == ("WalltimeExceeded", 1)
    assert names in event.message
    assert event.run_time < 10
    assert len(noted(note)) == 1
    await until(lambda: not alive(note), 10.0)


def leak(megabytes: int) -> None:
    """Keeps what it has taken when it fails."""
    import builtins

    held = builtins.__dict__.setdefault("_held", [])
    while True:
        held.append(bytearray(megabytes * 1_000_000))


async def test_row_29_the_next_task_does_not_pay_for_memory_left_behind() -> None:
    async with limited(memory=300 * MB) as endpoint:
        for _ in range(3):
            assert (await failed(endpoint, leak, 20)).error_type == "MemoryError"
        values = await endpoint.outcomes(await endpoint.submit_many(bombs.hoard, [150] * 6), 60.0)
    assert {type(each).__name__ for each in values.values()} == {"TaskCompleted"}


def oom_score() -> int:
    return int(open("/proc/self/oom_score_adj").read())


async def test_row_29_where_the_machine_runs_out_of_memory_a_worker_goes_first() -> None:
    async with limited() as endpoint:
        assert await endpoint.value(await endpoint.submit(oom_score)) >= 500


def limits_in_force() -> tuple[int, int]:
    import resource

    return resource.getrlimit(resource.RLIMIT_DATA)[0], resource.getrlimit(resource.RLIMIT_NPROC)[0]


async def test_row_29_no_limit_is_none() -> None:
    async with limited(processes=None) as endpoint:
        memory, _ = await endpoint.value(await endpoint.submit(limits_in_force))
    assert memory == -1


_FORK = """
import os, sys, time
from funcledger_endpoint.local.limits import Limits
from funcledger_endpoint.worker.limits import WorkerLimits
WorkerLimits(Limits(), int(sys.argv[1]))
if not os.getuid():
    os.setuid(65534)  # root has no such limit
made = []
try:
    while len(made) < 100:
        if (child := os.fork()) == 0:
            time.sleep(20)
            os._exit(0)
        made.append(child)
except BlockingIOError:
    print(len(made))
finally:
    for child in made:
        os.kill(child, 9)
"""


def test_row_29_between_two_looks_the_kernel_keeps_a_bomb_below_a_number_for_the_user() -> None:
    """Not for root, whom the kernel does not count; for root there are only the looks."""
    most = tasks_of_user() + 25
    done = subprocess.run(
        [sys.executable, "-c", _FORK, str(most)], capture_output=True, text=True, check=True
    )
    assert 0 < int(done.stdout) <= 25
