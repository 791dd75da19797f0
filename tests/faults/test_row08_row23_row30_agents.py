"""FAULTS 8, 23 and 30: agents that are killed, superseded, or told to stop."""

import asyncio
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
from tests.support.deadlines import scaled
from tests.support.endpoint import Endpoint
from tests.support.fake_engine import FakeEngine
from tests.support.poll import until, until_sync

from funcledger_endpoint.agent import Agent
from funcledger_endpoint.settings import AgentSettings
from funcledger_event_log.direct import DirectEndpointLog
from funcledger_event_log.endpoint_port import Fenced
from funcledger_event_log.sqlite.log import SqliteLog
from funcledger_payloads import load
from funcledger_schemas.events import EndpointStopped, Event, TaskCompleted, TaskStarted


def square(number: float) -> float:
    return number * number


def once_told(marks: str, name: str) -> str:
    """Leaves a mark each time it is called, and returns only once it is told to."""
    import pathlib
    import time

    folder = pathlib.Path(marks)
    with (folder / name).open("a") as file:
        file.write("called\n")
    while not (folder / "go").exists():
        time.sleep(0.01)
    return name


def endless(marks: str) -> None:
    import pathlib

    (pathlib.Path(marks) / "endless").touch()
    while True:
        pass


def nap(seconds: float) -> float:
    import time

    time.sleep(seconds)
    return seconds


@contextmanager
def agent_process(
    directory: Path, endpoint_id: str, *, commit: float, doom: str = ""
) -> Iterator[subprocess.Popen[str]]:
    program = [sys.executable, "-m", "tests.support.agent_process"]
    command = [*program, str(directory), endpoint_id, str(commit), doom]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def said(process: subprocess.Popen[str], until_line: str) -> None:
    """Read the process's output up to this line."""
    assert process.stdout is not None
    for line in process.stdout:
        if line.strip() == until_line:
            return
    raise AssertionError(f"it ended without saying {until_line!r}")


async def test_row08_what_a_killed_agent_had_begun_runs_again_and_what_it_had_finished_does_not(
    tmp_path: Path,
) -> None:
    """Killed after TaskStarted and the function's side effect, and after an outcome but before the commit."""
    log = await SqliteLog.open(tmp_path / "log")
    endpoint = await Endpoint.create(log)
    finished = await endpoint.submit(square, 3)
    begun = await endpoint.submit(once_told, str(tmp_path), "thrice")
    at_most_once = await endpoint.submit(once_told, str(tmp_path), "once", max_attempts=1)
    unbegun = await endpoint.submit(square, 4)
    await log.close()

    with agent_process(tmp_path / "log", endpoint.endpoint_id, commit=1000) as process:
        said(process, f"TaskCompleted {finished}")
        until_sync(lambda: (tmp_path / "thrice").exists() and (tmp_path / "once").exists())
        workers = psutil.Process(process.pid).children(recursive=True)
        process.kill()
        _, alive = psutil.wait_procs(workers, timeout=scaled(5))
        assert not alive
    (tmp_path / "go").touch()

    log = await SqliteLog.open(tmp_path / "log")
    endpoint.log = log
    async with endpoint.agent():
        assert await endpoint.value(begun) == "thrice"
        assert await endpoint.value(unbegun) == 16
        lost = await endpoint.outcome(at_most_once)
        assert await endpoint.value(finished) == 9
    assert (lost.kind, lost.attempt) == ("TaskLost", 1)
    assert (tmp_path / "once").read_text() == "called\n"
    assert (tmp_path / "thrice").read_text() == "called\ncalled\n"
    assert await endpoint.story(finished) == ["TaskStarted", "TaskCompleted"]
    assert await endpoint.story(begun) == ["TaskStarted", "TaskAttemptFailed", "TaskStarted", "TaskCompleted"]
    assert await endpoint.story(at_most_once) == ["TaskStarted", "TaskFailed"]
    assert await endpoint.story(unbegun) == ["TaskStarted", "TaskCompleted"]
    await log.close()


#: Where the agent dies, and the task's story then: with three attempts, and with one.
_CRASHES = {
    "before:TaskStarted": (["TaskStarted", "TaskCompleted"], ["TaskStarted", "TaskCompleted"]),
    "after:TaskStarted": (
        ["TaskStarted", "TaskAttemptFailed", "TaskStarted", "TaskCompleted"],
        ["TaskStarted", "TaskFailed"],
    ),
    "before:TaskCompleted": (
        ["TaskStarted", "TaskAttemptFailed", "TaskStarted", "TaskCompleted"],
        ["TaskStarted", "TaskFailed"],
    ),
    "after:TaskCompleted": (["TaskStarted", "TaskCompleted"], ["TaskStarted", "TaskCompleted"]),
}


def leaves_a_mark(path: str) -> str:
    import pathlib
    import time

    with pathlib.Path(path).open("a") as file:
        file.write("called\n")
    time.sleep(0.2)  # so that its start and its end are told in two appends
    return "done"


@pytest.mark.parametrize("max_attempts", [3, 1])
@pytest.mark.parametrize("point", _CRASHES)
async def test_row08_wherever_the_agent_is_killed_the_task_ends_once_and_never_runs_more_than_it_may(
    tmp_path: Path, point: str, max_attempts: int
) -> None:
    """Before TaskStarted, after it, after the side effect, after the outcome but before the commit."""
    marks = tmp_path / "marks"
    log = await SqliteLog.open(tmp_path / "log")
    endpoint = await Endpoint.create(log)
    task = await endpoint.submit(leaves_a_mark, str(marks), max_attempts=max_attempts)
    await log.close()
    with agent_process(tmp_path / "log", endpoint.endpoint_id, commit=1000, doom=point) as process:
        assert process.wait(scaled(20)) == -signal.SIGKILL
    called = len(marks.read_text().split()) if marks.exists() else 0
    if point.endswith("TaskCompleted"):
        assert called == 1, "its side effect was there when the agent died"
    log = endpoint.log = await SqliteLog.open(tmp_path / "log")
    async with endpoint.agent(1):
        outcome = await endpoint.outcome(task)
        story = await endpoint.story(task)
    await log.close()
    assert story == _CRASHES[point][max_attempts == 1]
    if isinstance(outcome, TaskCompleted):
        assert load(outcome.payload_format, outcome.payload) == "done"
    else:
        assert (outcome.kind, outcome.attempt) == ("TaskLost", 1)
    ran = len(marks.read_text().split()) if marks.exists() else 0
    assert ran <= max_attempts
    if point == "after:TaskCompleted":
        assert ran == 1


async def test_row08_a_worker_in_an_endless_loop_ends_with_its_killed_agent(tmp_path: Path) -> None:
    log = await SqliteLog.open(tmp_path / "log")
    endpoint = await Endpoint.create(log)
    await endpoint.submit(endless, str(tmp_path))
    await log.close()
    with agent_process(tmp_path / "log", endpoint.endpoint_id, commit=1) as process:
        until_sync(lambda: (tmp_path / "endless").exists())
        workers = psutil.Process(process.pid).children(recursive=True)
        assert workers
        process.kill()
        _, alive = psutil.wait_procs(workers, timeout=scaled(5))
    assert not alive


class Held(DirectEndpointLog):
    """Keeps back appends that hold a TaskStarted until the gate is opened."""

    gate: asyncio.Event

    async def append(self, events: Sequence[Event]) -> list[int]:
        if any(isinstance(event, TaskStarted) for event in events):
            await self.gate.wait()
        return await super().append(events)


@pytest.mark.parametrize(("max_attempts", "waits"), [(1, True), (3, False)])
async def test_law_6_with_one_attempt_the_start_is_durable_before_the_function_is_called(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, max_attempts: int, waits: bool
) -> None:
    endpoint = await Endpoint.create()
    view = Held(endpoint.log, await endpoint.view().identify())
    view.gate = asyncio.Event()
    monkeypatch.setattr(endpoint, "view", lambda: view)
    (tmp_path / "go").touch()
    async with endpoint.agent() as running:
        task_id = await endpoint.submit(once_told, str(tmp_path), "mark", max_attempts=max_attempts)
        await until(lambda: running.engine.busy or (tmp_path / "mark").exists())
        if waits:
            with pytest.raises(AssertionError):
                await until(lambda: (tmp_path / "mark").exists(), timeout=0.3)
        else:
            await until(lambda: (tmp_path / "mark").exists())
        view.gate.set()
        assert await endpoint.value(task_id) == "mark"
    assert await endpoint.story(task_id) == ["TaskStarted", "TaskCompleted"]


async def test_law_6_at_most_one_attempt_is_lost_with_its_agent_and_says_so(tmp_path: Path) -> None:
    endpoint = await Endpoint.create()
    async with endpoint.agent() as running:
        task_id = await endpoint.submit(once_told, str(tmp_path), "mark", max_attempts=1)
        await until(lambda: (tmp_path / "mark").exists())
        await running.crash()
    async with endpoint.agent():
        event = await endpoint.outcome(task_id)
    assert event.kind == "TaskLost"
    assert "attempt 1 of 1" in event.message


async def test_row30_told_to_stop_running_tasks_finish_and_the_others_are_left_for_the_next() -> None:
    endpoint = await Endpoint.create()
    async with endpoint.agent(1) as running:
        await endpoint.value(await endpoint.submit(nap, 0))
        tasks = await endpoint.submit_many(nap, [0.3] + [0.0] * 20)
        await until(lambda: endpoint.story(tasks[0]))
        running.agent.stop()
        await running.run
        events = await endpoint.results()
    assert isinstance(events[-1], EndpointStopped)
    assert await endpoint.story(tasks[0]) == ["TaskStarted", "TaskCompleted"]
    for task_id in tasks[1:]:
        assert await endpoint.story(task_id) == []
    async with endpoint.agent(1):
        await endpoint.outcomes(tasks)
    assert await endpoint.story(tasks[0]) == ["TaskStarted", "TaskCompleted"]
    assert await endpoint.story(tasks[20]) == ["TaskStarted", "TaskCompleted"]


async def test_row30_what_does_not_finish_in_time_is_lost_with_a_word_and_runs_again() -> None:
    endpoint = await Endpoint.create()
    async with endpoint.agent(1, AgentSettings(drain=0.1)) as running:
        long = await endpoint.submit(nap, 60)
        await until(lambda: endpoint.story(long))
        running.agent.stop()
        await asyncio.wait_for(running.run, scaled(5))
    assert await endpoint.story(long) == ["TaskStarted", "TaskAttemptFailed"]


async def test_row23_a_superseded_agent_ends_as_fenced_and_the_new_one_has_its_tasks() -> None:
    endpoint = await Endpoint.create()
    engine = FakeEngine(by_hand=True)
    old = asyncio.create_task(Agent(endpoint.view(), engine).run())
    task_id = await endpoint.submit(square, 3)
    await until(lambda: endpoint.story(task_id))
    async with endpoint.agent():
        assert await endpoint.value(task_id) == 9
        engine.finish()
        with pytest.raises(Fenced):
            await asyncio.wait_for(old, scaled(5))
    completed = [event for event in await endpoint.results() if isinstance(event, TaskCompleted)]
    assert [event.attempt for event in completed][:1] == [2]


async def test_law_6_a_cancel_asked_for_while_no_agent_ran_is_known_before_anything_starts() -> None:
    endpoint = await Endpoint.create()
    task_id = await endpoint.submit(square, 3)
    await endpoint.submit_many(square, list(range(50)))
    await endpoint.cancel(task_id)
    async with endpoint.agent():
        await endpoint.outcome(task_id)
    assert await endpoint.story(task_id) == ["TaskCancelled"]


async def test_payloads_beyond_the_read_ahead_are_fetched_when_their_turn_comes() -> None:
    endpoint = await Endpoint.create()
    sizes = [20_000 + n for n in range(40)]
    tasks = await endpoint.submit_many(_size, [bytes(size) for size in sizes])
    settings = AgentSettings(read_ahead=5, read_ahead_bytes=100_000)
    async with endpoint.agent(2, settings):
        await endpoint.outcomes(tasks)
        assert [await endpoint.value(task_id) for task_id in tasks] == sizes


def _size(data: bytes) -> int:
    return len(data)
