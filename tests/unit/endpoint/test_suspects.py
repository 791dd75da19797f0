"""Law 6 where a task kills its agent: every further attempt is counted, and suspects run one at a time."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from functools import partial

import pytest
from tests.support.endpoint import Endpoint
from tests.support.fake_engine import FakeEngine
from tests.support.poll import until

from funcledger_endpoint import suspects
from funcledger_endpoint.agent import Agent
from funcledger_endpoint.settings import AgentSettings
from funcledger_endpoint.task import Task
from funcledger_schemas.events import EndpointStarted, TaskStarted

pytestmark = [pytest.mark.fault(37), pytest.mark.law(6)]


def nothing() -> None: ...


class Running(FakeEngine):
    """By hand; ``careful`` are the tasks whose start was to be durable first, ``released`` those it is."""

    def __init__(self, workers: int = 4) -> None:
        super().__init__(workers, by_hand=True)
        self.careful: set[str] = set()
        self.released: list[str] = []

    def offer(self, task: Task, function: bytes, *, careful: bool = False) -> bool:
        taken = super().offer(task, function, careful=careful)
        if taken and careful:
            self.careful.add(task.task_id)
        return taken

    def release(self, task: Task) -> None:
        self.released.append(task.task_id)

    @property
    def ids(self) -> list[str]:
        return [task.task_id for task in self.offered]


@asynccontextmanager
async def dying_agent(endpoint: Endpoint, workers: int = 4) -> AsyncGenerator[Running]:
    """An agent that is killed in the end."""
    engine = Running(workers)
    run = asyncio.create_task(Agent(endpoint.view(), engine, AgentSettings(commit=0.05)).run())
    yield engine
    run.cancel()
    await asyncio.gather(run, return_exceptions=True)


async def starts(endpoint: Endpoint) -> list[str]:
    return [event.task_id for event in await endpoint.results() if isinstance(event, TaskStarted)]


async def killed_under(endpoint: Endpoint, tasks: list[str]) -> None:
    """One more agent is killed while these run."""
    before = len(await starts(endpoint))
    async with dying_agent(endpoint) as engine:
        await until(lambda: len(engine.ids) == len(tasks))

        async def told() -> bool:
            return len(await starts(endpoint)) == before + len(tasks)

        await until(told)


async def test_after_one_death_starts_are_durable_before_the_call_and_nobody_waits_for_another() -> None:
    endpoint = await Endpoint.create()
    tasks = [await endpoint.submit(nothing) for _ in range(3)]
    await killed_under(endpoint, tasks)
    async with dying_agent(endpoint) as engine:
        await until(lambda: set(engine.released) == set(tasks))
        later = await endpoint.submit(nothing)
        await until(lambda: later in engine.ids)
        assert engine.careful == set(tasks), "what is new need not wait for its start"


async def test_from_the_second_death_on_suspects_run_one_at_a_time_and_then_all_run_as_ever() -> None:
    endpoint = await Endpoint.create()
    tasks = [await endpoint.submit(nothing) for _ in range(3)]
    await killed_under(endpoint, tasks)
    await killed_under(endpoint, tasks)
    new = [await endpoint.submit(nothing) for _ in range(2)]
    async with dying_agent(endpoint) as engine:
        for task_id in tasks:
            await until(partial(engine.released.__contains__, task_id))
            assert engine.ids == engine.released, "nothing runs beside it"
            engine.finish()
            await endpoint.outcome(task_id)
        await until(lambda: engine.ids == [*tasks, *new])
        assert engine.busy == 2


async def test_a_suspect_that_takes_long_has_others_beside_it_but_no_second_suspect(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(suspects, "ALONE", 0.1)
    endpoint = await Endpoint.create()
    tasks = [await endpoint.submit(nothing) for _ in range(3)]
    await killed_under(endpoint, tasks)
    await killed_under(endpoint, tasks)
    new = [await endpoint.submit(nothing) for _ in range(2)]
    async with dying_agent(endpoint) as engine:
        await until(lambda: engine.ids == [tasks[0], *new])
        engine.finish()  # the suspect
        await until(lambda: engine.ids == [tasks[0], *new, tasks[1]])
        with pytest.raises(AssertionError):
            await until(lambda: tasks[2] in engine.ids, timeout=0.6)


async def test_only_the_one_that_was_tried_is_charged_and_it_is_lost_after_its_attempts() -> None:
    endpoint = await Endpoint.create()
    tasks = [await endpoint.submit(nothing) for _ in range(3)]
    await killed_under(endpoint, tasks)
    await killed_under(endpoint, tasks)
    await killed_under(endpoint, tasks[:1])
    async with dying_agent(endpoint) as engine:
        outcome = await endpoint.outcome(tasks[0])
        for task_id in tasks[1:]:
            await until(lambda: engine.busy == 1)
            engine.finish()
            assert (await endpoint.outcome(task_id)).attempt == 3
    assert (outcome.kind, outcome.attempt) == ("TaskLost", 3)
    assert outcome.message.startswith("its agent died in each of 3 attempts; ")


async def killed_untold(endpoint: Endpoint) -> None:
    """An agent is killed before it has told of any task; whether it had begun one, the log does not know."""
    before = len([event for event in await endpoint.results() if isinstance(event, EndpointStarted)])
    async with dying_agent(endpoint, workers=0):

        async def started() -> bool:
            return before < len(
                [event for event in await endpoint.results() if isinstance(event, EndpointStarted)]
            )

        await until(started)


async def test_a_call_that_the_log_does_not_know_counts_for_what_killed_its_agent_again_when_alone() -> None:
    endpoint = await Endpoint.create()
    tasks = [await endpoint.submit(nothing) for _ in range(3)]
    await killed_untold(endpoint)
    new = await endpoint.submit(nothing)
    await killed_under(endpoint, [*tasks, new])
    await killed_under(endpoint, tasks[:1])
    async with dying_agent(endpoint) as engine:
        outcome = await endpoint.outcome(tasks[0])
        for task_id in [*tasks[1:], new]:
            await until(lambda: engine.busy == 1)
            engine.finish()
            assert (await endpoint.outcome(task_id)).attempt == 2, "what ran beside it is charged for no more"
    assert (outcome.kind, outcome.attempt) == ("TaskLost", 2)
    assert outcome.message.startswith("its agent died in each of 3 attempts (at the first before it could")


async def test_of_two_attempts_both_are_known_to_the_log_so_none_is_made_up_for() -> None:
    endpoint = await Endpoint.create()
    tasks = [await endpoint.submit(nothing, max_attempts=2)]
    await killed_untold(endpoint)
    await killed_under(endpoint, tasks)
    await killed_under(endpoint, tasks)
    async with dying_agent(endpoint):
        outcome = await endpoint.outcome(tasks[0])
    assert outcome.attempt == 2
    assert outcome.message.startswith("its agent died in each of 2 attempts; ")


@pytest.mark.parametrize(("attempts", "counted"), [(1, True), (2, True), (3, False)])
async def test_of_one_or_two_attempts_each_is_counted_before_its_call(attempts: int, counted: bool) -> None:
    endpoint = await Endpoint.create()
    task_id = await endpoint.submit(nothing, max_attempts=attempts)
    async with dying_agent(endpoint) as engine:
        await until(lambda: task_id in engine.ids)
        assert (task_id in engine.careful) == counted


async def test_an_agent_that_leaves_in_good_order_leaves_no_suspects() -> None:
    endpoint = await Endpoint.create()
    tasks = [await endpoint.submit(nothing) for _ in range(2)]
    await killed_under(endpoint, tasks)
    await killed_under(endpoint, tasks)
    engine = Running(workers=0)
    agent = Agent(endpoint.view(), engine, AgentSettings(drain=0.1))
    run = asyncio.create_task(agent.run())

    async def caught_up() -> bool:
        return [(await endpoint.story(task_id))[-1] for task_id in tasks] == ["TaskAttemptFailed"] * 2

    await until(caught_up)
    agent.stop()
    await run
    async with dying_agent(endpoint) as engine:
        await until(lambda: engine.ids == tasks)
        assert not engine.careful


async def test_deaths_long_after_their_agents_start_make_no_suspects(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("funcledger_endpoint.deaths._SOON", 0)
    endpoint = await Endpoint.create()
    tasks = [await endpoint.submit(nothing) for _ in range(2)]
    await killed_under(endpoint, tasks)
    await killed_under(endpoint, tasks)
    async with dying_agent(endpoint) as engine:
        await until(lambda: engine.ids == tasks)
