"""``Future.running()`` is true while a worker is at the call, not while it waits for one."""

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.axes import Running
from tests.support.deadlines import scaled
from tests.support.poll import until_sync

from funcledger import Executor


def nap(seconds: float) -> float:
    time.sleep(seconds)
    return seconds


@pytest.fixture(scope="module")
def narrow(running: Running) -> Iterator[Running]:
    """A deployment with an endpoint of one worker."""
    with running.endpoint("narrow", workers=1):
        yield running


def test_of_several_calls_on_one_worker_only_the_first_is_running(narrow: Running) -> None:
    with narrow.client() as client, Executor("narrow", client) as executor:
        first, second = executor.submit(nap, 1.0), executor.submit(nap, 0.01)
        assert not first.running()
        until_sync(lambda: first.running(), 10)
        assert not second.running()
        assert not second.done()
        # It is with the agent already, so a cancel can only be asked for.
        assert not second.cancel()
        assert first.result(scaled(10)) == 1.0
        assert not first.running()
        until_sync(lambda: second.done(), 10)
        assert second.cancelled()
        assert not second.running()


def hold(gate: str) -> str:
    while not os.path.exists(gate):
        time.sleep(0.01)
    return gate


def test_another_program_that_loads_a_group_knows_what_runs(narrow: Running, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    with narrow.client() as client, Executor("narrow", client) as executor:
        slow, waiting = executor.submit(hold, str(gate)), executor.submit(nap, 0.01)
        with narrow.client() as other, Executor("narrow", other) as second:
            try:
                until_sync(lambda: slow.running(), 10)
                # What another program loads comes from a read model, a moment behind the stream.
                until_sync(lambda: len(list(other.results.batch(executor.task_group_id))) == 2, 10)
                futures = {each.task_id: each for each in second.reload_tasks(executor.task_group_id)}
                until_sync(lambda: futures[slow.task_id].running(), 10)
                assert not futures[waiting.task_id].running()
            finally:
                gate.touch()
            assert futures[waiting.task_id].result(scaled(10)) == 0.01
