"""ATTACKS 15, at the command side: bodies over the cap, huge batches and deep JSON are refused."""

import tracemalloc
from collections.abc import AsyncIterator

import pytest
from tests.support.commands import FRAME, Side, command_side, group, task_frame

from funcledger_command_api.models import TASKS_LIMIT
from funcledger_schemas.ids import new_id
from funcledger_schemas.limits import BODY_LIMIT

MIB = 1024 * 1024


@pytest.fixture
async def side() -> AsyncIterator[Side]:
    async with command_side() as running:
        yield running


async def test_a_body_without_end_is_cut_off_at_the_cap(side: Side) -> None:
    """The process holds no more of it than the cap and what joins it."""

    async def endless() -> AsyncIterator[bytes]:
        while True:
            yield bytes(MIB)

    tracemalloc.start()
    try:
        response = await side.client.post("/v1/tasks", content=endless(), headers=FRAME)
        _now, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert response.status_code == 413
    assert peak < BODY_LIMIT + 8 * MIB


async def test_a_batch_of_too_many_tasks_is_refused_whole(side: Side) -> None:
    endpoint, function = await side.endpoint(), await side.register()
    many = TASKS_LIMIT + 1
    asked = {**group(endpoint, function, [b""]), "sizes": [0] * many, "batch_indexes": None}
    asked["task_ids"] = [new_id() for _ in range(many)]
    response = await side.client.post("/v1/tasks", content=task_frame([asked], []), headers=FRAME)
    assert response.status_code == 422
    assert str(TASKS_LIMIT) in response.json()["detail"]
    assert await side.records("tasks") == []


@pytest.mark.parametrize("path", ["/v1/tasks", "/v1/functions", "/v1/endpoints", "/v1/tasks/cancel"])
async def test_deep_json_is_a_422(side: Side, path: str) -> None:
    content = b'{"tasks":' + b"[" * 400_000
    response = await side.client.post(path, content=content, headers={"Content-Type": "application/json"})
    assert response.status_code == 422, response.text
