"""ATTACKS 29, through a real agent: what tasks leave behind ends with their worker, however it hides."""

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from tests.support import bombs
from tests.support.deadlines import scaled
from tests.support.poll import until_sync
from tests.support.standalone import Standalone, standalone

from funcledger import Executor, errors

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux gives orphans to the agent")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Standalone]:
    with standalone(tmp_path_factory.mktemp("row29") / "data", "--workers", "1") as running:
        yield running


@pytest.fixture
def executor(server: Standalone) -> Iterator[Executor]:
    with server.client() as client, Executor("local", client) as running:
        yield running


@pytest.fixture
def note(tmp_path: Path) -> Iterator[Path]:
    path = tmp_path / "pids"
    yield path
    for pid in noted(path):
        if alive(pid):
            os.kill(pid, signal.SIGKILL)


def noted(note: Path) -> list[int]:
    return [int(line) for line in note.read_text().split()] if note.exists() else []


def alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def die() -> None:
    import os

    os.kill(os.getpid(), 9)


def test_row_29_a_daemon_lives_as_long_as_its_worker(executor: Executor, note: Path) -> None:
    assert executor.submit(bombs.leave_a_daemon, str(note)).result(scaled(30)) == "left"
    (pid,) = until_sync(lambda: noted(note))
    # Other tasks come and go; it may serve them.
    assert list(executor.map(abs, range(50))) == list(range(50))
    assert alive(pid)
    with pytest.raises(errors.WorkerDied):
        executor.submit(die).result(scaled(30))
    until_sync(lambda: not alive(pid), 10.0)


def test_row_29_a_daemon_that_hides_where_it_comes_from_is_ended_at_once(
    executor: Executor, note: Path
) -> None:
    assert executor.submit(bombs.leave_a_daemon, str(note), True).result(scaled(30)) == "left"
    (pid,) = until_sync(lambda: noted(note))
    until_sync(lambda: not alive(pid), 10.0)
    assert executor.submit(abs, -1).result(scaled(30)) == 1


def test_row_29_a_process_that_is_never_the_same_for_long_is_ended_with_its_worker(
    executor: Executor, note: Path
) -> None:
    assert executor.submit(bombs.comet, str(note)).result(scaled(30)) == "left"
    until_sync(lambda: noted(note))
    with pytest.raises(errors.WorkerDied):
        executor.submit(die).result(scaled(30))
    last = [0]

    def still() -> bool:
        before, last[0] = last[0], (noted(note) or [last[0]])[0]
        return before == last[0] and not alive(last[0])

    until_sync(still, 20.0)


def test_row_29_what_a_user_sets_for_a_call_reaches_it_and_what_is_met_is_said(server: Standalone) -> None:
    with server.client() as client:
        with Executor("local", client, memory="200 MB") as executor:
            with pytest.raises(MemoryError, match=r"out of memory: the task's limit is 200 MB \(`memory`\)"):
                executor.submit(bombs.hoard, 1000).result(scaled(30))
            assert executor.submit(bombs.hoard, 50).result(scaled(30)) == 50
        batch = client.create_batch(memory=200_000_000, resource_specification={"cores": 1})
        batch.add(1000, endpoint_id="local", function_id=client.register_function(bombs.hoard))
        (task,) = client.batch_run(batch)
        with pytest.raises(MemoryError, match="the task's limit is 200 MB"):
            client.get_result(task, timeout=scaled(30))
        with pytest.raises(errors.InvalidRequest, match="'2GB' or '512 MiB'"):
            client.create_batch(memory="much")


def test_row_29_memory_a_call_takes_with_its_children_is_told_as_such(server: Standalone, note: Path) -> None:
    with server.client() as client, Executor("local", client, memory="300 MB") as executor:
        future = executor.submit(bombs.hoard_in_children, 3, 150, str(note))
        with pytest.raises(errors.LimitExceeded, match="of memory; the task's limit is 300 MB"):
            future.result(scaled(30))
        until_sync(lambda: not any(map(alive, noted(note))), 10.0)


def test_row_29_what_ended_meanwhile_does_not_stay_as_a_zombie(
    server: Standalone, executor: Executor, note: Path
) -> None:
    assert executor.submit(bombs.leave_a_daemon, str(note), False, 1).result(scaled(30)) == "left"
    (pid,) = until_sync(lambda: noted(note))
    until_sync(lambda: not psutil.pid_exists(pid), 10.0)
    agent = server.agent_pid()
    assert agent is not None
    until_sync(lambda: [child.status() for child in psutil.Process(agent).children()] == ["sleeping"], 10.0)


def test_row_29_with_the_agent_all_that_its_tasks_left_ends_too(server: Standalone, note: Path) -> None:
    """This is the last test here: the agent is told to stop."""
    with server.client() as client, Executor("local", client) as executor:
        assert executor.submit(bombs.leave_a_daemon, str(note)).result(scaled(30)) == "left"
    (pid,) = until_sync(lambda: noted(note))
    agent = server.agent_pid()
    assert agent is not None
    os.kill(agent, signal.SIGTERM)
    until_sync(lambda: not alive(pid), 20.0)
