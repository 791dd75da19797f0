"""FAULTS 4: the same task id with another body is refused once the first is visible to this API."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from tests.support.apps import BOB
from tests.support.commands import (
    FRAME,
    Side,
    command_side,
    group,
    post_tasks,
    slug_of,
    submitted,
    task_frame,
    with_topics,
)
from tests.support.folding import caught_up, projecting

from funcledger_event_log.memory import MemoryLog
from funcledger_read_models.documents import TASK_HISTORY, TASK_STATUS, TaskHistory, TaskStatus
from funcledger_read_models.memory import MemoryStore
from funcledger_schemas.ids import new_id


@pytest.fixture
async def side() -> AsyncIterator[Side]:
    async with command_side() as running:
        yield running


async def test_row04_the_same_task_id_for_something_else_is_a_conflict(side: Side) -> None:
    """422, and nothing of that request is logged; another owner's same id is another task."""
    endpoint, function = await side.endpoint(public=True), await side.register(public=True)
    asked = group(endpoint, function, [b"x"])
    assert (await post_tasks(side, task_frame([asked], [b"x"]))).status_code == 202
    fresh = group(endpoint, function, [b"new"])
    response = await post_tasks(side, task_frame([fresh, asked], [b"new", b"y"]))
    assert (response.status_code, slug_of(response)) == (422, "conflict")
    assert asked["task_ids"][0] in response.json()["detail"]
    async with side.as_user(BOB) as bob:
        other = await bob.post("/v1/tasks", content=task_frame([asked], [b"y"]), headers=FRAME)
    assert other.status_code == 202
    assert [(event.owner, event.payload) for event in await submitted(side)] == [
        ("ada", b"x"),
        ("bob", b"y"),
    ]


async def test_row04_fifty_at_once_with_two_bodies_are_one_task_of_the_first_body_taken(side: Side) -> None:
    endpoint, function = await side.endpoint(), await side.register()
    asked, batch_id = group(endpoint, function, [b"x"]), new_id()
    bodies = [task_frame([asked], [body], batch_id=batch_id) for body in (b"x", b"y")]
    answers = await asyncio.gather(*(post_tasks(side, bodies[n % 2]) for n in range(50)))
    assert [answer.status_code for answer in answers] == [202, 422] * 25
    assert [event.payload for event in await submitted(side)] == [b"x"]


async def test_row04_through_two_apis_the_later_one_is_void_and_told_on_the_tasks_history() -> None:
    """Before the first is visible to it, an API cannot know: then every fold does."""
    log = await with_topics(MemoryLog())
    async with command_side(log) as one, command_side(log) as other:
        asked = group(await one.endpoint(), await one.register(), [b"x"])
        await other.tail.catch_up(5)
        answers = [
            await post_tasks(api, task_frame([asked], [body])) for api, body in ((one, b"x"), (other, b"y"))
        ]
        assert [answer.status_code for answer in answers] == [202, 202]
        store = MemoryStore()
        async with projecting(log, store) as projector:
            await caught_up(projector)
        (task,) = await store.find(TASK_STATUS)
        (history,) = await store.find(TASK_HISTORY)
    assert isinstance(task, TaskStatus)
    assert isinstance(history, TaskHistory)
    assert task.conflict
    assert [(entry.offset, entry.void) for entry in history.entries] == [(0, False), (1, True)]
