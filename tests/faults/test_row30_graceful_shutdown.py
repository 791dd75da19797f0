"""Row 30: told to stop, an agent finishes what runs within its time, and leaves the rest for the next one."""

import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.deadlines import scaled
from tests.support.lab import Lab
from tests.support.poll import until_sync
from tests.support.standalone import Standalone, standalone


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Standalone]:
    with standalone(tmp_path_factory.mktemp("row30") / "data", "--no-endpoint") as started:
        yield started


def nap(seconds: float) -> float:
    time.sleep(seconds)
    return seconds


def test_row30_after_sigterm_nothing_is_begun_and_the_next_agent_runs_what_was_left(
    server: Standalone, tmp_path: Path
) -> None:
    lab = Lab(server, "drains")
    with server.client() as client:
        function = client.register_function(nap)
        batch = client.create_batch()
        for seconds in (1.0, *[0.001] * 50):
            batch.add(seconds, endpoint_id=lab.name, function_id=function)
        with lab.agent(tmp_path) as agent:
            running, *waiting = client.batch_run(batch)
            until_sync(lambda: client.get_task(running)["status"] == "running", 20)
            agent.send_signal(signal.SIGTERM)
            assert agent.wait(scaled(20)) == 0
        assert client.get_result(running, timeout=0) == 1.0
        for task in waiting:
            assert [entry["type"] for entry in client.get_task_history(task)] == ["TaskSubmitted"]
        with lab.agent(tmp_path):
            infos = client.get_batch_result([running, *waiting], timeout=scaled(30))
    assert {info["status"] for info in infos.values()} == {"success"}
    assert {info["attempts"] for info in infos.values()} == {1}


def test_row30_what_does_not_end_in_time_is_cut_off_told_and_run_again(
    server: Standalone, tmp_path: Path
) -> None:
    lab = Lab(server, "is-in-a-hurry")
    with server.client() as client:
        function = client.register_function(nap)
        with lab.agent(tmp_path, drain=0.5) as agent:
            task = client.run(600, endpoint_id=lab.name, function_id=function)
            until_sync(lambda: client.get_task(task)["status"] == "running", 20)
            agent.send_signal(signal.SIGTERM)
            begun = time.monotonic()
            assert agent.wait(scaled(30)) == 0
            assert time.monotonic() - begun < scaled(20), (
                "0.5 s, and 5 more for a worker that ignores SIGTERM"
            )
        told = [entry["type"] for entry in client.get_task_history(task)]
        assert told == ["TaskSubmitted", "TaskStarted", "TaskAttemptFailed"]
        with lab.agent(tmp_path, drain=0.5):
            until_sync(lambda: client.get_task(task)["attempts"] == 2, 20)
            client.cancel(task)
            until_sync(lambda: client.get_task(task)["status"] == "cancelled", 20)


def test_row30_the_server_with_its_endpoint_drains_on_sigterm(tmp_path: Path) -> None:
    """As a service manager stops it."""
    with standalone(tmp_path / "data", "--workers", "1") as server:
        with server.client() as client:
            function = client.register_function(nap)
            running = client.run(1.0, endpoint_id="local", function_id=function)
            until_sync(lambda: client.get_task(running)["status"] == "running", 20)
            waiting = client.run(0.001, endpoint_id="local", function_id=function)
            assert server.stop(signal.SIGTERM) == 0
        server.start()
        with server.client() as client:
            assert client.get_result(running, timeout=scaled(20)) == 1.0
            assert client.get_result(waiting, timeout=scaled(20)) == 0.001
            told = {task: [e["type"] for e in client.get_task_history(task)] for task in (running, waiting)}
    assert set(map(tuple, told.values())) == {("TaskSubmitted", "TaskStarted", "TaskCompleted")}
