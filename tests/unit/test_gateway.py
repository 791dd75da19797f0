"""Feeds of the gateway: law 7 at the door, signs of life, a prompt end."""

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AsyncExitStack, aclosing
from dataclasses import dataclass

import httpx2
import pytest
from starlette.types import Receive, Scope, Send
from tests.support.deadlines import scaled
from tests.support.endpoints import GatewayParts, TestEndpoint, gateway_over, memory_log, say
from tests.support.poll import until
from tests.support.server import serving

from funcledger_event_log.endpoint_port import Fenced
from funcledger_event_log.http import HttpEndpointLog
from funcledger_event_log.memory import MemoryLog
from funcledger_event_log.records import Position, Record
from funcledger_gateway.fencing import EpochTail
from funcledger_read_models.documents import ENDPOINT_HEALTH, EndpointHealth
from funcledger_read_models.memory import MemoryStore
from funcledger_schemas.lifecycle import Epochs

WIDE = {"credit": 1000, "credit_bytes": 1 << 20}


@dataclass
class Served:
    """A gateway on a port, what was asked of it, and one endpoint's agents."""

    log: MemoryLog
    endpoint: TestEndpoint
    parts: GatewayParts
    url: str
    asked: list[str]
    stack: AsyncExitStack

    def agent(self) -> HttpEndpointLog:
        agent = HttpEndpointLog(self.url, self.endpoint.credential)
        self.stack.push_async_callback(agent.close)
        return agent


@pytest.fixture
async def served() -> AsyncIterator[Served]:
    log, endpoint = await memory_log(), TestEndpoint()
    await say(log, endpoint.registered())
    asked: list[str] = []
    async with gateway_over(log, keep_alive=0.05) as parts, AsyncExitStack() as stack:

        async def noting(scope: Scope, receive: Receive, send: Send) -> None:
            asked.append(scope["path"])
            await parts.app(scope, receive, send)

        url = await stack.enter_async_context(serving(noting, parts.door.close_feeds))
        yield Served(log, endpoint, parts, url, asked, stack)


async def exhausted(feed: AsyncGenerator[list[Record]]) -> None:
    async with asyncio.timeout(scaled(5)), aclosing(feed):
        async for batch in feed:
            assert batch == []


async def test_law_7_one_agent_per_endpoint(served: Served) -> None:
    """The older agent's feed is closed, its appends are fenced, and what it appended anyway is void."""
    endpoint, task = served.endpoint, served.endpoint.submitted()
    old, new = served.agent(), served.agent()
    await say(served.log, task, partition=1)
    (first,) = await old.append([endpoint.started()])
    feed = old.follow_tasks(1, **WIDE)
    assert await anext(feed) == []

    (second,) = await new.append([endpoint.started(supersedes=first)])
    with pytest.raises(Fenced):
        await exhausted(feed)
    with pytest.raises(Fenced):
        await old.append([endpoint.begun(task, first)])
    assert await served.log.ends("results") == {0: 0, 1: 2}

    zombie = endpoint.completed(task, first)
    await say(served.log, zombie, partition=1)
    (ours,) = await new.append([endpoint.completed(task, second)])
    epochs = Epochs()
    records = await served.log.read([Position("results", 1, offset) for offset in range(ours + 1)])
    assert [epochs.admit(each.offset, each.event()) for each in records if each] == [True, True, False, True]


async def test_an_agent_keeps_the_feed_it_opened_before_it_had_an_epoch(served: Served) -> None:
    agent, task = served.agent(), served.endpoint.submitted()
    async with asyncio.timeout(scaled(5)), aclosing(agent.follow_tasks(0, **WIDE)) as feed:
        assert await anext(feed) == []
        await agent.append([served.endpoint.started()])
        await say(served.log, task, partition=1)
        while not (batch := await anext(feed)):
            pass
    assert [record.event() for record in batch] == [task]
    assert served.asked.count("/v1/gateway/tasks") == 1


async def test_a_feed_gives_signs_of_life_at_once_and_while_nothing_happens(served: Served) -> None:
    async with asyncio.timeout(scaled(5)), aclosing(served.agent().follow_tasks(0, **WIDE)) as feed:
        assert [await anext(feed) for _ in range(4)] == [[]] * 4


async def test_feeds_end_promptly_when_the_server_stops() -> None:
    log, endpoint = await memory_log(), TestEndpoint()
    await say(log, endpoint.registered())
    headers = {"Authorization": f"Bearer {endpoint.credential}"}
    params = {"start": 0, **WIDE}
    async with gateway_over(log) as parts, httpx2.AsyncClient(headers=headers) as client:
        async with asyncio.timeout(scaled(5)), serving(parts.app, parts.door.close_feeds) as url:
            request = client.build_request("GET", f"{url}/v1/gateway/tasks", params=params)
            response = await client.send(request, stream=True)
            chunks = response.aiter_raw()
            assert await anext(chunks)
            begun = time.monotonic()
        assert [chunk async for chunk in chunks] == []
    assert time.monotonic() - begun < scaled(2)


async def test_an_agent_that_goes_away_leaves_nothing_behind(served: Served) -> None:
    before = len(asyncio.all_tasks())
    agent = served.agent()
    async with aclosing(agent.follow_tasks(0, **WIDE)) as feed:
        await anext(feed)
        assert len(asyncio.all_tasks()) > before
    await agent.close()
    await until(lambda: len(asyncio.all_tasks()) <= before)


async def test_the_fence_begins_where_the_read_models_stand_with_what_they_know() -> None:
    log, endpoint, store = await memory_log(), TestEndpoint(), MemoryStore()
    start = endpoint.started()
    await say(log, start, partition=1)
    known = EndpointHealth(endpoint_id=endpoint.endpoint_id, epochs=[0], instance_id=start.instance_id)
    await store.save({ENDPOINT_HEALTH: {(endpoint.endpoint_id,): known}}, {("results", 1): 1}, {})
    (newer,) = await say(log, endpoint.started(supersedes=0), partition=1)
    epochs = await EpochTail.over(log, store)
    assert epochs.fence.current(endpoint.endpoint_id) == 0
    with pytest.raises(Fenced):
        epochs.fence.check([endpoint.started(supersedes=-1)])
    epochs.fence.check([start])
    await epochs.start()
    assert epochs.fence.current(endpoint.endpoint_id) == newer
    await epochs.stop()
