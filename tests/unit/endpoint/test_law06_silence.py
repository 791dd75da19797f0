"""Law 6 while the gateway is away: what an agent has learnt it knows until it has read all its tasks."""

import asyncio
from collections.abc import AsyncGenerator

import pytest
from tests.support.endpoint import Endpoint
from tests.support.fake_engine import FakeEngine
from tests.support.poll import until

from funcledger_endpoint import agent as agents
from funcledger_endpoint.agent import Agent
from funcledger_endpoint.settings import AgentSettings
from funcledger_event_log.direct import DirectEndpointLog
from funcledger_event_log.records import Record


class Silent(DirectEndpointLog):
    """Its feed of tasks brings one task, then nothing until :attr:`back` is set; all the rest answers."""

    back: asyncio.Event

    async def follow_tasks(
        self, start: int, *, credit: int, credit_bytes: int
    ) -> AsyncGenerator[list[Record]]:
        async for batch in super().follow_tasks(start, credit=credit, credit_bytes=credit_bytes):
            for record in batch:
                if record.offset:
                    await self.back.wait()
                yield [record]


def nothing() -> None: ...


async def test_law_06_a_feed_that_falls_silent_makes_no_agent_forget_attempts_and_outcomes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(agents, "_QUIET_FIRST", 0.05)
    monkeypatch.setattr(agents, "_QUIET", 0.05)
    endpoint = await Endpoint.create()
    waits, done, begun = [await endpoint.submit(nothing, max_attempts=most) for most in (3, 1, 1)]
    await _die_during(endpoint, done, begun)

    engine = FakeEngine(workers=2, by_hand=True)
    view = Silent(endpoint.log, await endpoint.view().identify())
    view.back = asyncio.Event()
    agent = Agent(view, engine, AgentSettings(drain=0.1))
    run = asyncio.create_task(agent.run())
    await until(lambda: [task.task_id for task in engine.offered] == [waits])
    view.back.set()
    outcome = await endpoint.outcome(begun)
    assert (outcome.kind, outcome.attempt) == ("TaskLost", 1)
    assert [task.task_id for task in engine.offered] == [waits], "what may run once is not run again"
    agent.stop()
    await run


async def _die_during(endpoint: Endpoint, done: str, begun: str) -> None:
    """An agent ends one task, and dies while another runs."""
    engine = FakeEngine(workers=3, by_hand=True)
    run = asyncio.create_task(Agent(endpoint.view(), engine, AgentSettings(commit=1000)).run())
    await until(lambda: engine.busy == 3)
    await until(lambda: endpoint.story(begun))
    engine._running.rotate(-1)
    engine.finish()
    await endpoint.outcome(done)
    run.cancel()
    await asyncio.gather(run, return_exceptions=True)
