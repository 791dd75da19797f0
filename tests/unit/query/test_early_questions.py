"""Who asks for what another program has just submitted is not told that there is no such thing."""

import asyncio
from http import HTTPStatus

import pytest
from tests.support.deadlines import scaled
from tests.support.poll import until
from tests.support.queries import Side, Task, ask, query_side

from funcledger_query_api import queries, waiting
from funcledger_schemas.ids import new_id


async def _projected_once_somebody_waits(side: Side) -> None:
    await until(lambda: side.side.progress.waiting)
    await side.project()


async def test_a_task_and_its_batch_are_found_though_the_read_models_have_not_come_to_them_yet() -> None:
    for path in ("/v1/tasks/{0.task_id}", "/v1/batches/{0.batch_id}", "/v1/tasks/{0.task_id}/history"):
        async with query_side() as side:
            task = Task()
            await side.append(task.submitted())
            asking = asyncio.create_task(side.client.get(path.format(task)))
            await _projected_once_somebody_waits(side)
            assert (await asking).status_code == HTTPStatus.OK, path


async def test_who_does_not_wait_for_results_is_not_told_that_the_task_is_unknown() -> None:
    async with query_side() as side:
        task = Task()
        await side.append(task.submitted())
        asking = asyncio.create_task(ask(side.client, [task.task_id], 0))
        await _projected_once_somebody_waits(side)
        head, tasks = await asking
        assert not head.get("unknown")
        assert tasks[task.task_id][0]["pending"] is True


async def test_what_is_not_there_is_said_not_to_be_there_at_once_or_when_it_has_been_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with query_side() as side:
        async with asyncio.timeout(scaled(1)):
            assert (await side.client.get(f"/v1/tasks/{new_id()}")).status_code == HTTPStatus.NOT_FOUND
        monkeypatch.setattr(queries, "CERTAIN", 0.05)
        monkeypatch.setattr(waiting, "CERTAIN", 0.05)
        await side.append(Task().submitted())
        assert (await side.client.get(f"/v1/tasks/{new_id()}")).status_code == HTTPStatus.NOT_FOUND
        unknown = new_id()
        head, _ = await ask(side.client, [unknown], 0)
        assert head["unknown"] == [unknown]
