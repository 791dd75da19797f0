"""What an endpoint says of tasks that it was not given reaches nobody: no stream, no wait, no list."""

import asyncio
import itertools
import pickle
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from typing import Any

import pytest
from msgspec import structs
from tests.support.deadlines import scaled
from tests.support.endpoints import TestEndpoint
from tests.support.service import service

from funcledger import Executor
from funcledger_event_log.http import HttpEndpointLog
from funcledger_schemas.events import TaskSubmitted
from funcledger_schemas.ids import new_id

pytestmark = [pytest.mark.attack(5, 39), pytest.mark.law(15)]


@asynccontextmanager
async def _agent(url: str, made: dict[str, Any]) -> AsyncIterator[tuple[HttpEndpointLog, TestEndpoint]]:
    """A connection with an endpoint's credential, and what makes its events."""
    log = HttpEndpointLog(url, made["credential"])
    yield log, TestEndpoint(endpoint_id=made["endpoint_id"])
    await log.close()


async def _given(log: HttpEndpointLog) -> tuple[int, TaskSubmitted]:
    """The first submission of an endpoint and its offset."""
    feed = log.follow_tasks(0, credit=9, credit_bytes=1 << 20)
    async with asyncio.timeout(scaled(10)), aclosing(feed):
        async for batch in feed:
            for record in batch:
                if isinstance(event := record.event(), TaskSubmitted):
                    return record.offset, event
    raise AssertionError("the feed ended")


def _square(number: int) -> int:
    return number * number


def test_another_endpoints_results_reach_neither_a_users_stream_nor_a_wait() -> None:
    with service() as server, server.client() as ada, server.client(server.other_token) as bob:
        ours, theirs = ada.register_endpoint("hers"), bob.register_endpoint("his")
        hers, his = Executor(ours["endpoint_id"], client=ada), Executor(theirs["endpoint_id"], client=bob)
        wanted, other = hers.submit(_square, 3), his.submit(_square, 4)

        async def lie_and_tell() -> None:
            async with _agent(server.url, ours) as (honest, us), _agent(server.url, theirs) as (liar, them):
                (at, task), (its_at, its) = await _given(honest), await _given(liar)
                (epoch,) = await liar.append([them.started()])
                code = pickle.dumps("a lie")
                combinations = itertools.product(
                    ("ada", "bob"), (task.task_id, its.task_id, new_id()), (task.batch_id, its.batch_id),
                    (None, at, its_at, 999_999),
                )  # fmt: skip
                for owner, task_id, batch_id, submission in combinations:
                    if (owner, task_id, batch_id) == ("bob", its.task_id, its.batch_id):
                        continue
                    made_up = structs.replace(its, owner=owner, task_id=task_id, batch_id=batch_id)
                    lies = [them.begun(made_up, epoch), them.completed(made_up, epoch, code)]
                    await liar.append([structs.replace(lie, submission=submission) for lie in lies])
                truth = them.completed(structs.replace(its, owner="bob"), epoch, pickle.dumps(16))
                await liar.append([structs.replace(truth, submission=its_at)])
                (our_epoch,) = await honest.append([us.started()])
                assert await asyncio.to_thread(other.result, scaled(10)) == 16
                assert not wanted.done()
                assert await asyncio.to_thread(ada.wait, [task.task_id], 0.3) == (set(), {task.task_id})
                true = us.completed(task, our_epoch, pickle.dumps(9))
                await honest.append([structs.replace(true, submission=at)])

        asyncio.run(lie_and_tell())
        assert wanted.result(scaled(10)) == 9
        for executor in (hers, his):
            executor.shutdown()
