"""Readers that do not keep up hold a bounded amount together, whatever each might hold alone."""

from collections.abc import AsyncGenerator

from tests.support.queries import Side, Task, query_side, read_frame

from funcledger_query_api.seen import Seen
from funcledger_query_api.subscription import Budget
from funcledger_schemas import frames
from funcledger_schemas.ids import new_id

KIB = 1024


async def begun(side: Side, batch: str) -> AsyncGenerator[bytes]:
    """A stream that has said hello, and whose reader takes nothing more."""
    stream = side.stream(batch, Seen())
    await anext(stream)
    return stream


async def finish(side: Side, task: Task, size: int) -> None:
    await side.append(task.begun(), task.completed(bytes(size)))
    await side.fed()


async def test_beyond_the_total_the_one_that_holds_the_most_lets_go_of_it() -> None:
    async with query_side() as side:
        budget = side.side.feed._readers._budget = Budget(300 * KIB)
        batches = [new_id() for _ in range(3)]
        readers = [await begun(side, batch) for batch in batches]
        subscriptions = {batch: side.side.feed._readers.of_batch("ada", batch)[0] for batch in batches}
        sizes = (40, 20, 10)
        highest = 0
        for _ in range(10):
            for batch, size in zip(batches, sizes, strict=True):
                await finish(side, Task(batch_id=batch), size * KIB)
                highest = max(highest, budget.held)
        assert highest <= 300 * KIB
        assert [subscriptions[batch].closed for batch in batches] == [True, True, False]
        assert budget.held == subscriptions[batches[2]].held
        for reader in readers:
            await reader.aclose()
        assert budget.held == 0


async def test_whoever_was_dropped_comes_again_and_misses_nothing() -> None:
    async with query_side() as side:
        side.side.feed._readers._budget = Budget(100 * KIB)
        batch = new_id()
        tasks = [Task(batch_id=batch) for _ in range(12)]
        reader = await begun(side, batch)
        for task in tasks:
            await side.append(task.submitted())
            await finish(side, task, 20 * KIB)
        await side.project()
        got: set[str] = set()
        resume = ""
        splitter = frames.Splitter()
        for stream in (reader, side.stream(batch, Seen())):
            async for chunk in stream:
                for frame in filter(None, splitter.feed(chunk)):
                    head, answers = read_frame(frame)
                    assert not got & answers.keys()
                    got |= answers.keys()
                    resume = head["resume"]
                if len(got) == len(tasks):
                    break
            await stream.aclose()
        assert got == {task.task_id for task in tasks}
        assert resume
