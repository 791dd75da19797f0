"""Credits bound what an agent holds in memory: 10,000 submissions and 8 MiB of payloads."""

import asyncio

import msgspec
import pytest
from tests.support.endpoint import Endpoint, Running
from tests.support.poll import until

from funcledger_endpoint.settings import AgentSettings
from funcledger_schemas.ids import new_id

MIB = 1024 * 1024


def hold(path: str) -> None:
    """Until there is a file."""
    import os
    import time

    while not os.path.exists(path):
        time.sleep(0.01)


def size_of(payload: bytes) -> int:
    return len(payload)


def held(running: Running) -> tuple[int, int]:
    return running.agent._backlog.held


async def read(running: Running, endpoint: Endpoint) -> None:
    """Wait until the agent has seen every submission there is, and fetched what it wants of them."""
    end = sum((await endpoint.log.ends("tasks")).values())
    feed = running.agent._feed
    assert feed is not None
    await until(lambda: feed.next == end, 30.0)
    before = (-1, -1)
    while held(running) != before:
        before = held(running)
        await asyncio.sleep(0.1)


@pytest.mark.parametrize(("count", "size"), [(14_000, 10), (40, MIB), (9, 4 * MIB)])
async def test_credits_bound_what_an_agent_holds(
    tmp_path_factory: pytest.TempPathFactory, count: int, size: int
) -> None:
    """Behind a call that takes its time, however many wait and however large they are; all are run."""
    gate = tmp_path_factory.mktemp("gate") / "open"
    settings = AgentSettings(drain=5.0)
    assert (settings.read_ahead, settings.read_ahead_bytes) == (10_000, 8 * MIB)
    endpoint = await Endpoint.create()
    async with endpoint.agent(1, settings) as running:
        first = await endpoint.submit(hold, str(gate))
        await until(lambda: endpoint.story(first))
        one = await endpoint.submission(size_of, bytes(size))
        tasks = [msgspec.structs.replace(one, task_id=new_id(), event_id=new_id()) for _ in range(count)]
        await endpoint.append(*tasks)
        await read(running, endpoint)
        submissions, payloads = held(running)
        assert 0 < submissions <= 10_000
        assert 0 < payloads <= 8 * MIB + size + 1024
        gate.touch()
        outcomes = await endpoint.outcomes([task.task_id for task in tasks], 60.0)
        assert {type(event).__name__ for event in outcomes.values()} == {"TaskCompleted"}
        assert held(running) == (0, 0)
