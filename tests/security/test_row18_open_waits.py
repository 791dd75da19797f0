"""ATTACKS 18: long polls and streams are counted by principal, and refused beyond a cap."""

import asyncio
from collections.abc import AsyncIterator

import httpx2
import pytest
from tests.support.apps import BOB, client_of
from tests.support.commands import slug_of
from tests.support.poll import until
from tests.support.queries import Side, Task, query_side
from tests.support.server import serving

from funcledger_schemas.ids import new_id
from funcledger_web.rates import Waits

MOST = 3


@pytest.fixture
async def side() -> AsyncIterator[Side]:
    async with query_side(waits=Waits(MOST)) as running:
        yield running


def poll(client: httpx2.AsyncClient, task: Task, wait: float = 30) -> "asyncio.Task[httpx2.Response]":
    return asyncio.create_task(client.get(f"/v1/tasks/{task.task_id}", params={"wait": wait}))


async def waiting(side: Side, task: Task) -> list["asyncio.Task[httpx2.Response]"]:
    """As many long polls as may be open."""
    polls = [poll(side.client, task) for _ in range(MOST)]
    await until(lambda: side.side.feed.subscribers == MOST)
    return polls


async def test_row_18_polls_beyond_the_cap_are_429_and_others_are_unaffected(side: Side) -> None:
    task = Task()
    await side.append(task.submitted())
    await side.project()
    polls = await waiting(side, task)
    refused = await poll(side.client, task)
    assert (refused.status_code, slug_of(refused)) == (429, "too-many-requests")
    assert "3 streams and waits" in refused.json()["detail"]
    assert refused.headers["Retry-After"] == "1"
    asked = await side.client.post("/v1/results", json={"task_ids": [task.task_id], "wait": 30})
    assert asked.status_code == 429
    stream = await side.client.get("/v1/results/stream", params={"batch_id": task.batch_id})
    assert stream.status_code == 429
    # What does not wait is not counted, and Bob is somebody else.
    assert (await poll(side.client, task, wait=0)).status_code == 200
    async with side.as_user(BOB) as bob:
        assert (await poll(bob, task, wait=0.1)).status_code == 404
    await side.append(task.begun(), task.completed())
    assert [(await each).status_code for each in polls] == [200] * MOST
    await side.project()
    assert (await poll(side.client, task)).status_code == 200


async def test_row_18_a_poll_that_is_given_up_makes_room(side: Side) -> None:
    task = Task()
    await side.append(task.submitted())
    await side.project()
    for each in await waiting(side, task):
        each.cancel()
    await until(lambda: side.side.feed.subscribers == 0)
    assert (await poll(side.client, task, wait=0.1)).status_code == 200


async def test_row_18_streams_that_are_cut_make_room(side: Side) -> None:
    """Over real sockets, again and again: nothing stays counted."""
    path = "/v1/results/stream"
    async with serving(side.app, side.side.close_streams) as url:
        for _ in range(3):
            async with client_of(side.app) as named, httpx2.AsyncClient(headers=named.headers) as client:
                for _ in range(MOST):
                    request = client.build_request("GET", url + path, params={"batch_id": new_id()})
                    answer = await client.send(request, stream=True)
                    assert answer.status_code == 200
                one_more = await client.get(url + path, params={"batch_id": new_id()})
                assert one_more.status_code == 429
            await until(lambda: side.side.feed.subscribers == 0)
