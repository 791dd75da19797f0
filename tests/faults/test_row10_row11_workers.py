"""FAULTS 10 and 11: what kills a worker is that task's affair alone."""

import os
import re
import resource
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest
from tests.support.endpoint import Endpoint
from tests.support.poll import until

from funcledger_endpoint.local import engine as local_engine


def square(number: float) -> float:
    return number * number


def leave(_: object) -> None:
    import os

    os._exit(7)


def segfault(_: object) -> None:
    import ctypes

    ctypes.string_at(0)


def kill_itself(_: object) -> None:
    import os

    os.kill(os.getpid(), 9)


def run_out_of_memory(_: object) -> None:
    """As C code does that does not look at what malloc gives it."""
    import ctypes
    import pathlib
    import resource

    libc = ctypes.CDLL(None)
    libc.malloc.restype = ctypes.c_void_p
    libc.malloc.argtypes = [ctypes.c_size_t]
    used = int(pathlib.Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + (64 << 20), used + (64 << 20)))
    ctypes.memset(libc.malloc(1 << 30), 0, 1)


def grow_and_be_killed(mebibytes: int) -> None:
    """As the system's OOM killer would have it."""
    import os

    filled = bytearray(os.urandom(1 << 20)) * mebibytes
    os.kill(os.getpid() * bool(filled), 9)


def close_everything(_: object) -> None:
    """As C code can; what `os.closerange` is asked to close does not include the worker's own."""
    import ctypes

    for descriptor in range(3, 1000):
        ctypes.CDLL(None).close(descriptor)


def write_everywhere(_: object) -> None:
    import contextlib
    import os
    import time

    for descriptor in range(3, 1024):
        with contextlib.suppress(OSError):
            os.write(descriptor, b"rubbish")
    time.sleep(60)


def nap(seconds: float) -> float:
    import time

    time.sleep(seconds)
    return seconds


def with_a_child(path: str) -> None:
    import pathlib
    import subprocess
    import time

    child = subprocess.Popen(["sleep", "60"])
    pathlib.Path(path).write_text(str(child.pid))
    time.sleep(60)


@pytest.mark.parametrize(
    ("poison", "names"),
    [
        (leave, "exited with code 7"),
        (segfault, "signal 11 (SIGSEGV)"),
        (kill_itself, "signal 9 (SIGKILL)"),
        pytest.param(
            run_out_of_memory,
            "signal 11 (SIGSEGV)",
            marks=pytest.mark.skipif(sys.platform != "linux", reason="reads /proc"),
        ),
        (grow_and_be_killed, "signal 9 (SIGKILL)"),
        (close_everything, "code 81, since a task has closed descriptors that the worker needs"),
        (write_everywhere, "signal 9 (SIGKILL)"),
    ],
)
async def test_row10_row11_a_poison_task_fails_alone_and_its_neighbours_finish(
    poison: Callable[..., Any], names: str
) -> None:
    """Law 8: WorkerDied after its attempts, with signal and memory named; eight neighbours finish."""
    # What this process once took counts as its workers' own, so only more than that is told exactly.
    more = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024 + 200
    endpoint = await Endpoint.create()
    async with endpoint.agent(2):
        for _ in range(3):
            await endpoint.value(await endpoint.submit(square, 1))
        before = [await endpoint.submission(square, n) for n in range(4)]
        fatal = await endpoint.submission(poison, more, max_attempts=2)
        after = [await endpoint.submission(square, n) for n in range(4)]
        await endpoint.append(*before, fatal, *after)
        neighbours = [event.task_id for event in (*before, *after)]
        outcomes = await endpoint.outcomes([fatal.task_id, *neighbours])
    assert {type(outcomes[task_id]).__name__ for task_id in neighbours} == {"TaskCompleted"}
    event = outcomes[fatal.task_id]
    assert (event.kind, event.attempt) == ("WorkerDied", 2)
    told = re.search(re.escape(names) + r".*its peak memory was (at most )?\d+\.\d MiB", event.message)
    assert told, event.message
    if poison is grow_and_be_killed:
        assert told[1] is None
        assert 0 <= event.peak_memory - (more << 20) < 100 << 20
    assert event.peak_memory > 1_000_000
    assert await endpoint.story(fatal.task_id) == [
        "TaskStarted", "TaskAttemptFailed", "TaskStarted", "TaskFailed",
    ]  # fmt: skip


def leave_by_exit(_: object) -> None:
    import sys

    sys.exit("enough")


def allocate_too_much(_: object) -> int:
    """Under a limit on its address space, taken away again."""
    import resource

    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (4 << 30, before[1]))
    try:
        return len(bytearray(16 << 30))
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


@pytest.mark.parametrize(
    ("function", "error"), [(leave_by_exit, "SystemExit"), (allocate_too_much, "MemoryError")]
)
async def test_row10_what_python_itself_raises_is_an_outcome_and_costs_no_worker(
    function: Callable[..., Any], error: str
) -> None:
    """``sys.exit`` and an allocation over the limit: told with a traceback; eight neighbours finish."""
    endpoint = await Endpoint.create()
    async with endpoint.agent(1):
        await endpoint.value(await endpoint.submit(square, 1))
        (before,) = workers()
        tasks = [await endpoint.submission(square, n) for n in range(8)]
        raising = await endpoint.submission(function, 0)
        await endpoint.append(*tasks[:4], raising, *tasks[4:])
        outcomes = await endpoint.outcomes([event.task_id for event in (*tasks, raising)])
        (after,) = workers()
    assert before.pid == after.pid
    failed = outcomes.pop(raising.task_id)
    assert (failed.kind, failed.error_type, failed.attempt) == ("Exception", error, 1)
    assert error in failed.traceback
    assert {type(event).__name__ for event in outcomes.values()} == {"TaskCompleted"}


async def test_row11_a_function_known_as_short_that_kills_its_worker_takes_no_neighbour_along() -> None:
    """The neighbours wait at the very worker that dies, and have not begun: none of them loses an attempt."""
    endpoint = await Endpoint.create()

    def maybe(fatal: bool) -> bool:
        import os

        if fatal:
            os.kill(os.getpid(), 9)
        return fatal

    async with endpoint.agent(1):
        for _ in range(3):
            await endpoint.value(await endpoint.submit(maybe, False))
        tasks = await endpoint.submit_many(maybe, [False] * 4 + [True] + [False] * 4)
        outcomes = await endpoint.outcomes(tasks)
    assert outcomes[tasks[4]].kind == "WorkerDied"
    assert outcomes[tasks[4]].attempt == 3
    for task_id in tasks[:4] + tasks[5:]:
        assert await endpoint.story(task_id) == ["TaskStarted", "TaskCompleted"]


async def test_row10_a_worker_killed_from_outside_costs_its_task_one_attempt() -> None:
    endpoint = await Endpoint.create()
    async with endpoint.agent(1):
        await endpoint.value(await endpoint.submit(square, 1))
        task_id = await endpoint.submit(nap, 0.2)
        await until(lambda: endpoint.story(task_id))
        (worker,) = workers()
        os.kill(worker.pid, signal.SIGKILL)
        event = await endpoint.outcome(task_id)
    assert event.attempt == 2
    assert await endpoint.story(task_id) == [
        "TaskStarted", "TaskAttemptFailed", "TaskStarted", "TaskCompleted",
    ]  # fmt: skip


async def test_workers_that_die_at_start_are_not_started_in_a_rush_and_the_log_says_why(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    endpoint = await Endpoint.create()
    monkeypatch.setattr(local_engine, "_BACK_OFF", 0.05)
    monkeypatch.setenv("PYTHONHOME", "/nowhere")
    async with endpoint.agent(1):
        await until(lambda: sum("before its first call" in message for message in caplog.messages) >= 3)
        monkeypatch.delenv("PYTHONHOME")
        assert await endpoint.value(await endpoint.submit(square, 2)) == 4
    assert "exited with code 1" in caplog.text
    assert "starts in 0.2 s" in caplog.text


async def test_row29_a_cancelled_tasks_children_end_with_it(tmp_path: Path) -> None:
    endpoint = await Endpoint.create()
    note = tmp_path / "pid"
    async with endpoint.agent(1):
        task_id = await endpoint.submit(with_a_child, str(note))
        child = psutil.Process(int(await until(lambda: note.exists() and note.read_text())))
        await endpoint.cancel(task_id)
        await endpoint.outcome(task_id)
        await until(lambda: not child.is_running() or child.status() == psutil.STATUS_ZOMBIE)


def workers() -> list[psutil.Process]:
    """The worker processes of this test."""
    return [
        child
        for child in psutil.Process().children()
        if child.status() != psutil.STATUS_ZOMBIE and "funcledger_endpoint.worker" in child.cmdline()
    ]
