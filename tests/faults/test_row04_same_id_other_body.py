"""FAULTS 4: the same task id with another body is refused once the first is visible to this API."""

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
)


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
