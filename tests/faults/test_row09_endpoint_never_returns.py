"""Row 9: an endpoint that never comes, or never comes back, leaves no task pending for ever."""

import os
import signal
import time
from pathlib import Path

import pytest
from tests.support.clocks import Shifted
from tests.support.deadlines import scaled
from tests.support.endpoints import TestEndpoint, memory_log, say
from tests.support.folding import caught_up, projecting
from tests.support.poll import until_sync
from tests.support.standalone import standalone

from funcledger import TaskCancelled, TaskExpired
from funcledger_gateway.keeper import Keeper
from funcledger_read_models.documents import TASK_RESULTS, TaskResult
from funcledger_read_models.liveness import OFFLINE_AFTER
from funcledger_read_models.memory import MemoryStore
from funcledger_schemas import clock


def squared(x: int) -> int:
    return x * x


def test_row09_tasks_of_an_endpoint_that_never_starts_expire_or_end_cancelled(tmp_path: Path) -> None:
    """With real processes; the keeper of the server does it."""
    with standalone(tmp_path / "data", "--no-endpoint") as server, server.client() as client:
        client.register_endpoint("away")
        function = client.register_function(squared)
        batch = client.create_batch(expires_in=1)
        batch.add(2, endpoint_id="away", function_id=function)
        (expiring,) = client.batch_run(batch)
        cancelled = client.run(3, endpoint_id="away", function_id=function)
        client.cancel(cancelled)
        with pytest.raises(TaskExpired, match="Start the endpoint"):
            client.get_result(expiring, timeout=scaled(30))
        with pytest.raises(TaskCancelled):
            client.get_result(cancelled, timeout=scaled(30))


@pytest.mark.slow
def test_row09_a_task_whose_agent_is_killed_and_never_comes_back_expires(tmp_path: Path) -> None:
    """Once the endpoint counts as offline and the task's time is over, with real clocks."""
    with standalone(tmp_path / "data", "--workers", "1") as server, server.client() as client:
        batch = client.create_batch(expires_in=1)
        batch.add(600, endpoint_id="local", function_id=client.register_function(time.sleep))
        (task,) = client.batch_run(batch)
        until_sync(lambda: client.get_task(task)["status"] == "running", 20)
        agent = server.agent_pid()
        server.kill()
        assert agent is not None
        os.kill(agent, signal.SIGKILL)
        server._options = ("--no-endpoint",)
        server.start()
        with pytest.raises(TaskExpired):
            client.get_result(task, timeout=scaled(60))


@pytest.mark.parametrize("cancelled", [False, True])
async def test_row09_however_far_a_task_had_come_the_keeper_ends_it_by_the_clock(cancelled: bool) -> None:
    """Waiting and running tasks of an agent that was killed; the keeper's clock is moved, not waited for."""
    log, endpoint, store = await memory_log(), TestEndpoint(), MemoryStore()
    waiting, running = (endpoint.submitted(expires_in=60) for _ in range(2))
    await say(log, endpoint.registered())
    await say(
        log, endpoint.started(), waiting, running, endpoint.begun(running, 0), partition=endpoint.partition
    )
    if cancelled:
        await say(
            log, *(endpoint.cancel_of(task) for task in (waiting, running)), partition=endpoint.partition
        )
    machine = Shifted()
    keeper = Keeper(log, store)
    async with projecting(log, store) as projector:
        await caught_up(projector)
        with clock.running_on(machine):
            assert await keeper.round() == 0, "the agent may be alive"
        for seconds in (OFFLINE_AFTER // 1000 + 1, 60, 60):
            machine.wall += seconds
            with clock.running_on(machine):
                await keeper.round()
            await caught_up(projector)
    ends = {each.task_id: each for each in await store.find(TASK_RESULTS) if isinstance(each, TaskResult)}
    assert ends.keys() == {waiting.task_id, running.task_id}
    for end in ends.values():
        assert (end.status, end.kind) == (("cancelled", None) if cancelled else ("failed", "Expired"))
