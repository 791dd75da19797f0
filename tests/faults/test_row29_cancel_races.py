"""Row 29: whoever is quicker, cancel or completion: one terminal state, the loser's event kept for the audit.

Hypothesis draws the interleavings. The agent is the product's, on an engine whose calls begin and end when a
step says so; the keeper is the product's, on a clock that a step moves; the log is in memory.
"""

import asyncio
from collections import defaultdict
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, rule
from tests.support.clocks import Shifted
from tests.support.endpoint import PARTITION, Endpoint
from tests.support.fake_engine import FakeEngine
from tests.support.stores import dump

from funcledger_endpoint.agent import Agent
from funcledger_endpoint.settings import AgentSettings
from funcledger_event_log.records import NewRecord
from funcledger_gateway.keeper import Keeper
from funcledger_projectors.runner import Projector
from funcledger_query_api.history import events_of
from funcledger_read_models.documents import TASK_HISTORY, TASK_RESULTS, TASK_STATUS, Model
from funcledger_read_models.memory import MemoryStore
from funcledger_schemas import clock
from funcledger_schemas.events import EndpointRegistered, Event
from funcledger_schemas.ids import new_id
from funcledger_schemas.lifecycle import OUTCOMES

OUTCOME_OF = {"success": "TaskCompleted", "failed": "TaskFailed", "cancelled": "TaskCancelled"}


def square(number: int) -> int:
    return number * number


class Races(RuleBasedStateMachine):
    """Steps of users, agents, the keeper and the projector, in any order."""

    tasks: Bundle[str] = Bundle("tasks")

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.ended: dict[str, tuple[str, int]] = {}
        self.agents: list[tuple[FakeEngine, asyncio.Task[None]]] = []
        self.clock = Shifted()
        self.all: list[str] = []

    def do(self, awaitable: Any) -> Any:
        with clock.running_on(self.clock):
            return self.loop.run_until_complete(awaitable)

    async def _settle(self) -> None:
        for _ in range(30):
            await asyncio.sleep(0)

    @initialize()
    def begin(self) -> None:
        self.endpoint = self.do(Endpoint.create())
        log = self.endpoint.log
        registered = EndpointRegistered(
            event_id=new_id(), occurred_at=0, actor="user:ada", endpoint_id=self.endpoint.endpoint_id,
            owner="ada", name="lab", description=None, metadata=None, public=False, partition=PARTITION,
            credential_sha256="0" * 64,
        )  # fmt: skip
        self.do(log.append([NewRecord.of(registered, 0)]))
        self.store = MemoryStore()
        self.projector = Projector(log, self.store)
        self.keeper = Keeper(log, self.store)
        self.do(self.projector.start())

    @rule(target=tasks, max_attempts=st.sampled_from([1, 3]))
    def submit(self, max_attempts: int) -> str:
        task: str = self.do(self.endpoint.submit(square, 3, max_attempts=max_attempts))
        self.all.append(task)
        return task

    @rule(task=tasks)
    def cancel(self, task: str) -> None:
        self.do(self.endpoint.cancel(task))

    @rule()
    def an_agent_starts(self) -> None:
        """While an older one may still be at work, which is then fenced off."""
        engine = FakeEngine(2, by_hand=True)
        agent = Agent(self.endpoint.view(), engine, AgentSettings(commit=0.001, drain=0.01))
        with clock.running_on(self.clock):
            self.agents.append((engine, self.loop.create_task(agent.run())))
        self.let_things_happen()

    @rule()
    def the_agent_is_killed(self) -> None:
        if self.agents:
            _, running = self.agents.pop()
            running.cancel()
            self.do(asyncio.gather(running, return_exceptions=True))

    @rule(which=st.integers(0, 3), here=st.booleans())
    def a_call_returns(self, which: int, here: bool) -> None:
        """Of any agent, also one that has been superseded; ``here``: before anybody else has a turn."""
        for engine, _ in self.agents[which : which + 1]:
            if engine._running and engine._running[0].announced:
                self.do(self._finish(engine))
        if not here:
            self.let_things_happen()

    async def _finish(self, engine: FakeEngine) -> None:
        engine.finish()

    @rule()
    def let_things_happen(self) -> None:
        self.do(self._settle())
        self.do(asyncio.sleep(0.002))

    @rule(seconds=st.sampled_from([1, 20, 10 * 86_400]))
    def time_passes_and_the_keeper_looks(self, seconds: int) -> None:
        self.clock.wall += seconds
        self.do(self._catch_up())
        self.do(self.keeper.round())

    @rule(which=st.integers(0, 3), keeper_first=st.booleans())
    def a_call_returns_just_as_the_keeper_ends_the_task(self, which: int, keeper_first: bool) -> None:
        """An agent that was cut off for so long that the keeper took it for dead, and then comes back."""
        self.clock.wall += 10 * 86_400
        self.do(self._catch_up())
        if keeper_first:
            self.do(self.keeper.round())
        self.a_call_returns(which, here=True)
        self.do(self.keeper.round())
        self.let_things_happen()

    async def _catch_up(self) -> None:
        while await self.projector.lag():
            assert self.projector.failed is None
            await asyncio.sleep(0.001)

    @invariant()
    def exactly_one_terminal_state_and_every_event_is_kept(self) -> None:
        if self.all:
            self.do(self._check())

    async def _snapshot(self) -> tuple[list[Event], dict[Model, list[Any]]]:
        """The results on the log, and the documents that reflect exactly these: agents go on meanwhile."""
        models = (TASK_STATUS, TASK_RESULTS, TASK_HISTORY)
        while True:
            await self._catch_up()
            events = await self.endpoint.results()
            found = {model: list(await self.store.find(model, limit=10_000)) for model in models}
            ends = await self.endpoint.log.ends("results")
            if await self.projector.lag() == 0 and len(events) == ends[PARTITION]:
                return events, found

    async def _check(self) -> None:
        events, found = await self._snapshot()
        on_the_log: dict[str, list[int]] = defaultdict(list)
        for offset, event in enumerate(events):
            if type(event).__name__ in OUTCOMES:
                on_the_log[getattr(event, "task_id", "")].append(offset)
        statuses: dict[str, Any] = {each.task_id: each for each in found[TASK_STATUS]}
        results: dict[str, Any] = {each.task_id: each for each in found[TASK_RESULTS]}
        for history in found[TASK_HISTORY]:
            told = await events_of(self.endpoint.log, history)
            outcomes = [entry for entry in told if entry.type in OUTCOMES]
            assert [entry.offset for entry in outcomes] == on_the_log[history.task_id], "the losers are kept"
            counting = [entry for entry in outcomes if not entry.void]
            status = statuses[history.task_id]
            assert len(counting) == (status.outcome_offset is not None)
            for entry in counting:
                assert entry.type == OUTCOME_OF[status.status]
                assert results[history.task_id].offset == status.outcome_offset == entry.offset
                known = self.ended.setdefault(history.task_id, (status.status, entry.offset))
                assert known == (status.status, entry.offset), "and it stays so"

    def teardown(self) -> None:
        try:
            if hasattr(self, "projector"):
                self.do(self._end())
        finally:
            self.loop.close()

    async def _end(self) -> None:
        for _, running in self.agents:
            running.cancel()
        await asyncio.gather(*(running for _, running in self.agents), return_exceptions=True)
        await self._catch_up()
        await self.projector.stop()
        rebuilt = MemoryStore()
        self.projector = Projector(self.endpoint.log, rebuilt, rebuild=True)
        await self.projector.start()
        await self._catch_up()
        await self.projector.stop()
        assert await dump(rebuilt) == await dump(self.store)


class LongRaces(Races):
    """The same, for as long as there is time."""


TestRow29CancelRacesWithCompletion = Races.TestCase
TestRow29CancelRacesWithCompletion.settings = settings(
    max_examples=40, stateful_step_count=25, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
TestRow29CancelRacesAtLength = pytest.mark.timeout(900)(pytest.mark.slow(LongRaces.TestCase))
TestRow29CancelRacesAtLength.settings = settings(max_examples=500, stateful_step_count=40, deadline=None)
