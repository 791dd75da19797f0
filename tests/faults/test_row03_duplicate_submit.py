"""FAULTS 3: a submission sent again, at once or later, is the same submission."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from tests.support.commands import (
    Side,
    command_side,
    group,
    post_tasks,
    submitted,
    task_frame,
)

from funcledger_schemas.ids import new_id


@pytest.fixture
async def side() -> AsyncIterator[Side]:
    async with command_side() as running:
        yield running


async def test_row03_fifty_concurrent_identical_posts_are_one_submission(side: Side) -> None:
    endpoint, function = await side.endpoint(), await side.register()
    body = task_frame([group(endpoint, function, [b"x"] * 3)], [b"x"] * 3)
    answers = await asyncio.gather(*(post_tasks(side, body) for _ in range(50)))
    assert {(answer.status_code, answer.content) for answer in answers} == {(202, answers[0].content)}
    assert len(await side.records("tasks")) == 3


async def test_row03_a_retry_with_more_tasks_submits_only_the_new_ones(side: Side) -> None:
    endpoint, function = await side.endpoint(), await side.register()
    whole = group(endpoint, function, [b"a", b"b", b"c"])
    first = {**whole, **{name: whole[name][:2] for name in ("task_ids", "batch_indexes", "sizes")}}
    batch_id = new_id()
    await post_tasks(side, task_frame([first], [b"a", b"b"], batch_id=batch_id))
    response = await post_tasks(side, task_frame([whole], [b"a", b"b", b"c"], batch_id=batch_id))
    assert (response.status_code, response.json()["accepted"]) == (202, 3)
    assert [event.payload for event in await submitted(side)] == [b"a", b"b", b"c"]
