"""What every ``EndpointLog`` keeps: directly on each log, and through a real gateway over HTTP."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, aclosing
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.support import logs
from tests.support.deadlines import scaled
from tests.support.endpoints import TestEndpoint, function_registered, gateway_over, make_topics, say
from tests.support.server import serving

from funcledger_event_log.direct import DirectEndpointLog
from funcledger_event_log.endpoint_port import CredentialRefused, EndpointLog, Fenced
from funcledger_event_log.http import HttpEndpointLog
from funcledger_event_log.port import Committed, EventLog
from funcledger_event_log.records import Record, TopicPartition
from funcledger_schemas.events import Event, TaskCancelRequested, TaskSubmitted
from funcledger_schemas.ids import new_id

WIDE = {"credit": 1000, "credit_bytes": 1 << 20}


@dataclass
class World:
    """A log with two endpoints that share a partition, and a way to be the agent of each."""

    log: EventLog
    ours: TestEndpoint
    theirs: TestEndpoint
    agent: Callable[[TestEndpoint], EndpointLog]


#: The log as its server has it; a process beside that one takes no agents.
LOGS = [each for each in logs.LOGS if "beside" not in each.values]


@pytest.fixture(params=LOGS)
async def log(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[EventLog]:
    async with logs.ADAPTERS[request.param](tmp_path) as opened:
        await make_topics(opened)
        yield opened


@pytest.fixture(params=["direct", "http"])
async def world(request: pytest.FixtureRequest, log: EventLog) -> AsyncIterator[World]:
    async with AsyncExitStack() as stack:
        ours, theirs = TestEndpoint(), TestEndpoint(owner="bob")
        await say(log, ours.registered(), theirs.registered())

        def opened(agent: EndpointLog) -> EndpointLog:
            stack.push_async_callback(agent.close)
            return agent

        if request.param == "direct":
            yield World(log, ours, theirs, lambda who: opened(DirectEndpointLog(log, who.identity)))
        else:
            parts = await stack.enter_async_context(gateway_over(log))
            url = await stack.enter_async_context(serving(parts.app, parts.door.close_feeds))
            yield World(log, ours, theirs, lambda who: opened(HttpEndpointLog(url, who.credential)))


async def taken(agent: EndpointLog, count: int, start: int = 0, **credit: int) -> list[Record]:
    """The first records of the feed; no more are waited for."""
    found: list[Record] = []
    async with (
        asyncio.timeout(scaled(20)),
        aclosing(agent.follow_tasks(start, **{**WIDE, **credit})) as batches,
    ):
        async for batch in batches:
            found += batch
            if len(found) >= count:
                return found
    raise AssertionError("the feed ended")


async def results_of(agent: EndpointLog, start: int = 0, end: int = 1 << 40) -> list[Event]:
    async with aclosing(agent.read_results(start, end)) as batches:
        return [record.event() async for batch in batches for record in batch]


async def test_the_credential_says_who_the_agent_is(world: World) -> None:
    assert await world.agent(world.ours).identify() == world.ours.identity


async def test_the_feed_brings_own_tasks_and_cancels_in_order_and_skips_those_of_others(world: World) -> None:
    first, foreign, second = world.ours.submitted(b"1"), world.theirs.submitted(), world.ours.submitted(b"2")
    cancel = TaskCancelRequested(
        event_id=new_id(), occurred_at=1, actor="user:ada", endpoint_id=world.ours.endpoint_id,
        owner="ada", task_id=first.task_id, batch_id=first.batch_id,
    )  # fmt: skip
    await say(world.log, first, foreign, second, cancel, partition=1)
    records = await taken(world.agent(world.ours), 3)
    assert [record.event() for record in records] == [first, second, cancel]
    assert [record.offset for record in records] == [0, 2, 3]
    kept = await world.log.read([record.position for record in records])
    assert [record.timestamp for record in records] == [each.timestamp for each in kept if each]


async def test_the_feed_goes_on_with_what_is_appended_while_it_is_followed(world: World) -> None:
    agent = world.agent(world.ours)
    tasks = [world.ours.submitted() for _ in range(3)]
    await say(world.log, tasks[0], partition=1)
    seen: list[Event] = []
    async with asyncio.timeout(scaled(20)), aclosing(agent.follow_tasks(0, **WIDE)) as batches:
        async for batch in batches:
            seen += [record.event() for record in batch]
            if len(seen) == 3:
                break
            if batch:
                await say(world.log, tasks[len(seen)], partition=1)
    assert seen == tasks


@pytest.mark.parametrize("credit", [{"credit": 2}, {"credit_bytes": 5000}], ids=["submissions", "bytes"])
async def test_beyond_the_credit_large_submissions_come_as_stubs_to_be_fetched(
    world: World, credit: dict[str, int]
) -> None:
    tasks = [world.ours.submitted(bytes([n]) * 3000) for n in range(4)]
    await say(world.log, *tasks, world.theirs.submitted(), partition=1)
    agent = world.agent(world.ours)
    got = [record.event() for record in await taken(agent, 4, **credit)]
    assert got[:2] == tasks[:2]
    for event, task in zip(got[2:], tasks[2:], strict=True):
        assert isinstance(event, TaskSubmitted)
        assert (event.payload, event.payload_size, event.task_id) == (b"", 3000, task.task_id)
    assert [record.event() for record in await agent.fetch([2, 3])] == tasks[2:]


async def test_the_feed_begins_where_it_is_asked_to(world: World) -> None:
    tasks = [world.ours.submitted() for _ in range(4)]
    await say(world.log, *tasks, partition=1)
    assert [r.event() for r in await taken(world.agent(world.ours), 2, start=2)] == tasks[2:]


async def test_an_endpoint_never_reads_another_ones_tasks_functions_or_results(world: World) -> None:
    body = function_registered(b"secret code")
    await say(world.log, body)
    task = world.theirs.submitted(function_id=body.function_id, function_hash=body.payload_sha256)
    await say(world.log, task, partition=1)
    await world.agent(world.theirs).append([world.theirs.started()])
    agent = world.agent(world.ours)
    assert await agent.fetch([0]) == []
    assert await results_of(agent) == []
    with pytest.raises(LookupError):
        await agent.function(body.payload_sha256, 0)


async def test_a_function_comes_by_hash_for_a_task_that_calls_it(world: World) -> None:
    body = function_registered(b"code" * 1000)
    await say(world.log, function_registered(b"another"), body)
    task = world.ours.submitted(function_id=body.function_id, function_hash=body.payload_sha256)
    await say(world.log, world.ours.submitted(), task, partition=1)
    agent = world.agent(world.ours)
    assert await agent.function(body.payload_sha256, 1) == body.payload
    with pytest.raises(LookupError):
        await agent.function(body.payload_sha256, 0)
    with pytest.raises(LookupError):
        await agent.function("f" * 64, 1)


async def test_appended_events_are_on_the_log_as_they_were_said(world: World) -> None:
    agent, task = world.agent(world.ours), world.ours.submitted()
    await say(world.log, task, partition=1)
    (epoch,) = await agent.append([world.ours.started()])
    said = [world.ours.begun(task, epoch), world.ours.completed(task, epoch, b"x" * 100)]
    assert await agent.append(said) == [epoch + 1, epoch + 2]
    assert await agent.append([world.ours.heartbeat(epoch)]) == [0]
    assert (await agent.ends()) == (1, 3)
    assert await results_of(agent, start=1) == said
    batch = await anext(world.log.follow({TopicPartition("results", 1): 1}))
    assert [record.event() for record in batch] == said
    assert {record.key.decode() for record in batch} == {world.ours.endpoint_id}


async def test_results_are_read_between_two_offsets(world: World) -> None:
    agent, task = world.agent(world.ours), world.ours.submitted()
    await say(world.log, task, partition=1)
    (epoch,) = await agent.append([world.ours.started()])
    said = [world.ours.begun(task, epoch) for _ in range(5)]
    await agent.append(said)
    assert await results_of(agent, 2, 4) == said[1:3]
    assert await results_of(agent, 6, 6) == []


async def test_a_position_is_kept_with_its_note(world: World) -> None:
    agent = world.agent(world.ours)
    assert await agent.committed() is None
    await agent.commit(7, "seen: 12")
    await world.agent(world.theirs).commit(3, "")
    assert await world.agent(world.ours).committed() == Committed(7, "seen: 12")


async def test_an_endpoint_cannot_speak_for_another_nor_say_what_is_not_its_own(world: World) -> None:
    agent, task = world.agent(world.ours), world.ours.submitted()
    await agent.append([world.ours.started()])
    forged = [
        world.theirs.heartbeat(0),
        world.theirs.completed(world.theirs.submitted(), 0),
        world.ours.begun(task, None),
        task,
        function_registered(b"code"),
    ]
    for event in forged:
        with pytest.raises(CredentialRefused):
            await agent.append([event])
    assert await world.log.ends("results") == {0: 0, 1: 1}
    assert await world.log.ends("tasks") == {0: 0, 1: 0}
    assert await world.log.ends("functions") == {0: 0}


async def test_law_7_one_agent_per_endpoint(world: World) -> None:
    """An older agent's append is refused; of two that start at once, one; others do not matter."""
    old, new, task = world.agent(world.ours), world.agent(world.ours), world.ours.submitted()
    await say(world.log, task, partition=1)
    (first,) = await old.append([world.ours.started()])
    await world.agent(world.theirs).append([world.theirs.started()])
    assert await old.append([world.ours.begun(task, first)]) == [2]
    (second,) = await new.append([world.ours.started(supersedes=first)])
    for event in (
        world.ours.completed(task, first),
        world.ours.heartbeat(first),
        world.ours.started(supersedes=first),
    ):
        with pytest.raises(Fenced):
            await old.append([event])
    assert await new.append([world.ours.begun(task, second)])


async def test_a_start_sent_again_answers_the_epoch_that_counts(world: World) -> None:
    agent, start = world.agent(world.ours), world.ours.started()
    assert await agent.append([start]) == await agent.append([start]) == [0]


async def test_an_append_may_be_larger_than_one_request(world: World) -> None:
    agent, tasks = world.agent(world.ours), [world.ours.submitted() for _ in range(7)]
    await say(world.log, *tasks, partition=1)
    (epoch,) = await agent.append([world.ours.started()])
    said = [world.ours.completed(task, epoch, bytes([n]) * (5 << 20)) for n, task in enumerate(tasks)]
    assert await agent.append(said) == list(range(epoch + 1, epoch + 8))


async def test_appending_nothing_does_nothing(world: World) -> None:
    assert await world.agent(world.ours).append([]) == []
