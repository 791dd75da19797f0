"""A stream tells which tasks of its batches run, once they have run for a moment."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from tests.support.queries import Side, Task, heads, query_side

from funcledger_query_api.seen import Seen
from funcledger_schemas.ids import new_id


@pytest.fixture
async def side() -> AsyncIterator[Side]:
    async with query_side() as made:
        yield made


async def told(side: Side, batch: str, seconds: float = 0.5) -> list[str]:
    """The tasks that a new stream says have begun, within some seconds."""
    begun: list[str] = []
    stream = side.stream(batch, Seen())
    try:
        async with asyncio.timeout(seconds):
            async for head, _ in heads(stream):
                begun += head.get("begun", ())
    except TimeoutError:
        pass
    finally:
        await stream.aclose()
    return begun


async def test_a_task_that_runs_is_told_once_and_others_are_not(side: Side) -> None:
    batch = new_id()
    runs, waits, others = Task(batch_id=batch), Task(batch_id=batch), Task(batch_id=new_id())
    telling = asyncio.create_task(told(side, batch))
    await asyncio.sleep(0.05)
    await side.append(runs.submitted(), waits.submitted(), others.submitted(), others.begun(), runs.begun())
    assert await telling == [runs.task_id]


async def test_a_task_that_is_over_at_once_is_not_told(side: Side) -> None:
    """So a busy stream of short tasks carries nothing more than their outcomes."""
    batch = new_id()
    tasks = [Task(batch_id=batch) for _ in range(50)]
    telling = asyncio.create_task(told(side, batch))
    await asyncio.sleep(0.05)
    for task in tasks:
        await side.append(task.submitted(), task.begun())
        await side.append(task.completed())
    assert await telling == []


async def test_a_stream_that_comes_later_learns_what_runs_already(side: Side) -> None:
    batch = new_id()
    runs, waits, over = (Task(batch_id=batch) for _ in range(3))
    await side.append(runs.submitted(), waits.submitted(), over.submitted(), over.begun(), runs.begun())
    await side.append(over.completed())
    await side.project()
    assert await told(side, batch) == [runs.task_id]
    assert await told(side, new_id()) == []
