"""Row 18: clocks of server and agents an hour off, as processes; the simulator moves them at random.

Order comes from offsets, deadlines from the log's append times, durations from monotonic clocks; an event
whose writer's clock is ahead of the log's is flagged in its task's history.
"""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.support.clocks import clock_ahead
from tests.support.deadlines import scaled
from tests.support.lab import Lab
from tests.support.queries import Task, query_side
from tests.support.standalone import Standalone, standalone

from funcledger import Client
from funcledger_endpoint.clock import LogClock
from funcledger_event_log.records import NewRecord
from funcledger_schemas import clock

HOUR = 3600


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Standalone]:
    with standalone(tmp_path_factory.mktemp("row18") / "data", "--no-endpoint") as started:
        yield started


def nap_and_tell(seconds: float) -> float:
    time.sleep(seconds)
    return time.time()


def history_of(client: Client, task: str) -> list[dict[str, Any]]:
    history = client.get_task_history(task)
    assert [entry["type"] for entry in history] == ["TaskSubmitted", "TaskStarted", "TaskCompleted"]
    return history


@pytest.mark.parametrize("ahead", [HOUR, -HOUR])
def test_row18_an_agent_whose_clock_is_an_hour_off_expires_nothing_and_measures_rightly(
    server: Standalone, tmp_path: Path, ahead: int
) -> None:
    """Its workers have the same wrong clock. What claims to come from the future is flagged, nothing else."""
    lab = Lab(server, f"ahead{ahead}")
    with server.client() as client, lab.agent(tmp_path, more=clock_ahead(ahead)):
        batch = client.create_batch(expires_in=600)
        batch.add(0.2, endpoint_id=lab.name, function_id=client.register_function(nap_and_tell))
        (task,) = client.batch_run(batch)
        told = client.get_result(task, timeout=scaled(20))
        assert told - time.time() == pytest.approx(ahead, abs=30), "the clock really was off"
        assert client.get_endpoint_status(lab.name)["status"] == "online"
        history = history_of(client, task)
        assert history[2]["event"]["run_time"] == pytest.approx(0.2, abs=0.15)
        assert client.get_task(task)["run_time"] == pytest.approx(0.2, abs=0.15)
        assert [entry["timestamp"] for entry in history] == sorted(entry["timestamp"] for entry in history)
        flagged = [entry["clock_ahead"] for entry in history]
        if ahead > 0:
            assert flagged == [None, pytest.approx(HOUR, abs=30), pytest.approx(HOUR, abs=30)]
            assert "s ahead of the log's" in server.cli("task", "history", task).stdout
        else:
            assert flagged == [None] * 3


def test_row18_a_server_whose_clock_is_set_back_by_an_hour_keeps_every_order(tmp_path: Path) -> None:
    """And tasks submitted before and after it are known, run, and listed."""
    with standalone(tmp_path / "data", "--workers", "1", more=clock_ahead(HOUR)) as server:
        with server.client() as client:
            function = client.register_function(nap_and_tell)
            before = client.run(0, endpoint_id="local", function_id=function)
            client.get_result(before, timeout=scaled(20))
            client.register_endpoint("later")
            waiting = client.run(0, endpoint_id="later", function_id=function)
        server.stop()
        server.more = {}
        server.start()
        with server.client() as client:
            after = client.run(0, endpoint_id="local", function_id=function)
            client.get_result(after, timeout=scaled(20))
            client.cancel(waiting)
            client.wait([waiting], scaled(20))
            for task in (before, after):
                history_of(client, task)
            story = [entry["type"] for entry in client.get_task_history(waiting)]
            assert story == ["TaskSubmitted", "TaskCancelRequested", "TaskCancelled"]
            assert {task["task_id"] for task in client.get_tasks()} == {before, after, waiting}


async def test_row18_a_history_keeps_the_order_of_the_log_whatever_its_append_times_say() -> None:
    """The log's clock jumps back between any two of a task's events."""
    for jump in range(1, 4):
        async with query_side() as side:
            task = Task()
            events = [task.submitted(), task.begun(), task.completed()]
            now = 1_700_000_000_000
            for number, event in enumerate(events):
                await side.log.append([NewRecord.of(event, 1)])
                stored = side.log._partitions
                where = next(each for each in stored if each[:2] == (("results", "tasks")[number == 0], 1))
                at = now + number - (HOUR * 1000 if number >= jump else 0)
                stored[where][-1] = stored[where][-1]._replace(timestamp=at)
            await side.project()
            shown = (await side.client.get(f"/v1/tasks/{task.task_id}/history")).json()["events"]
            assert [each["type"] for each in shown] == ["TaskSubmitted", "TaskStarted", "TaskCompleted"]


def test_row18_an_agent_believes_a_log_whose_clock_is_set_back() -> None:
    """Else tasks submitted from then on would expire by as much too early."""
    known = LogClock()
    now = 1_700_000_000_000
    known.note(now)  # while it read older results
    known.follow(now + HOUR * 1000)
    assert known.now() >= now + HOUR * 1000
    known.follow(now + 5)
    assert now + 5 <= known.now() < now + 60_000
    known.follow(now + 10)
    known.note(now - 10_000)
    assert known.now() >= now + 10


def test_row18_the_systems_monotonic_clock_is_what_durations_come_from() -> None:
    assert clock.SystemClock.monotonic_ns is time.monotonic_ns
