"""A cancel reaches one's own tasks on endpoints that one can, or could once, use; elsewhere it is a 404."""

from collections.abc import AsyncIterator, Sequence

import httpx2
import pytest
from tests.support.apps import BOB
from tests.support.commands import Side, command_side, slug_of

from funcledger_schemas.events import TaskCancelRequested
from funcledger_schemas.ids import new_id

pytestmark = pytest.mark.attack(41)


@pytest.fixture
async def side() -> AsyncIterator[Side]:
    async with command_side() as running:
        yield running


async def _cancel(side: Side, endpoints: Sequence[str], token: str = BOB) -> httpx2.Response:
    """One task on each of the endpoints."""
    tasks = [{"endpoint_id": each, "batch_id": new_id(), "task_id": new_id()} for each in endpoints]
    async with side.as_user(token) as client:
        return await client.post("/v1/tasks/cancel", json={"tasks": tasks})


async def test_another_users_endpoint_is_not_there_and_nothing_is_on_its_feed(side: Side) -> None:
    """By either route; the answer is the one to an endpoint that never was."""
    hers, nobodys = await side.endpoint(), new_id()
    answers = [await _cancel(side, [each]) for each in (hers, nobodys)]
    async with side.as_user(BOB) as bob:
        one = {"endpoint_id": hers, "batch_id": new_id()}
        answers.append(await bob.post(f"/v1/tasks/{new_id()}/cancel", json=one))
    assert [(each.status_code, slug_of(each)) for each in answers] == [(404, "endpoint-not-found")] * 3
    told = [each.json()["detail"].replace(hers, "?").replace(nobodys, "?") for each in answers]
    assert len(set(told)) == 1
    assert await side.records("tasks") == []


async def test_one_endpoint_that_is_not_open_refuses_the_whole_request(side: Side) -> None:
    hers, open_one = await side.endpoint(), await side.endpoint("open", public=True)
    assert (await _cancel(side, [open_one, hers])).status_code == 404
    assert await side.records("tasks") == []


async def test_an_endpoint_that_was_open_once_takes_cancels_for_what_may_still_run_there(side: Side) -> None:
    """Public, shared, unshared since, deleted since: tasks that were sent meanwhile go on."""
    public, shared = await side.endpoint("public", public=True), await side.endpoint("shared")
    share = f"/v1/endpoints/{shared}/shares/user/bob"
    assert (await _cancel(side, [shared])).status_code == 404
    assert (await side.client.put(share)).status_code == 200
    assert (await _cancel(side, [public, shared])).status_code == 202
    assert (await side.client.delete(share)).status_code == 200
    assert (await side.client.delete(f"/v1/endpoints/{public}")).status_code == 200
    assert (await _cancel(side, [public, shared])).status_code == 202
    assert (await side.client.delete(f"/v1/endpoints/{shared}")).status_code == 200
    assert (await _cancel(side, [shared])).status_code == 202
    events = [record.event() for record in await side.records("tasks")]
    assert {each.owner for each in events if isinstance(each, TaskCancelRequested)} == {"bob"}
    assert len(events) == 5


async def test_a_share_with_somebody_else_that_was_taken_back_opens_nothing(side: Side) -> None:
    """Nor does taking back a share that never was."""
    hers = await side.endpoint()
    for name in ("carol", "bob"):
        if name == "carol":
            await side.client.put(f"/v1/endpoints/{hers}/shares/user/{name}")
        await side.client.delete(f"/v1/endpoints/{hers}/shares/user/{name}")
    assert (await _cancel(side, [hers])).status_code == 404


@pytest.mark.attack(37)
async def test_a_task_named_many_times_in_a_request_is_asked_for_once(side: Side) -> None:
    endpoint, task, batch = await side.endpoint(), new_id(), new_id()
    named = {"endpoint_id": endpoint, "batch_id": batch, "task_id": task}
    other = {**named, "task_id": new_id()}
    answer = await side.client.post("/v1/tasks/cancel", json={"tasks": [named] * 500 + [other] + [named]})
    assert (answer.status_code, answer.json()["accepted"]) == (202, 2)
    events = [record.event() for record in await side.records("tasks")]
    assert [getattr(each, "task_id", None) for each in events] == [task, other["task_id"]]
