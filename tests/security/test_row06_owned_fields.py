"""ATTACKS 6: fields that the server owns cannot be set by a client, on any command, in any form of body."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from tests.support.commands import (
    FRAME,
    Side,
    base64_of,
    command_side,
    endpoint_json,
    function_frame,
    function_head,
    group,
    task_frame,
)

from funcledger_schemas.ids import new_id

OWNED = ["owner", "actor", "epoch", "submitted_at", "partition", "occurred_at", "event_id", "function_hash"]


@pytest.fixture
async def side() -> AsyncIterator[Side]:
    async with command_side() as running:
        yield running


async def _refused(side: Side, path: str, field: str, request: dict[str, Any]) -> None:
    response = await side.client.post(path, **request)
    assert response.status_code == 422, (path, field, response.text)
    assert any(error["field"].endswith(field) for error in response.json()["errors"]), response.text


@pytest.mark.parametrize("field", OWNED)
async def test_a_field_the_server_owns_is_refused_everywhere(side: Side, field: str) -> None:
    endpoint, function = await side.endpoint(), await side.register()
    before = [len(await side.records(topic)) for topic in ("functions", "endpoints", "tasks")]
    extra = {field: "eve"}
    name = {"task_id": new_id(), "endpoint_id": endpoint, "batch_id": new_id()}
    one = {"endpoint_id": endpoint, "function_id": function, "payload_format": "json", "payload": ""}
    frames = {
        "/v1/functions": [function_frame(b"x", **extra)],
        "/v1/tasks": [
            task_frame([group(endpoint, function, [b"x"], **extra)], [b"x"]),
            task_frame([group(endpoint, function, [b"x"])], [b"x"], **extra),
        ],
    }
    for path, bodies in frames.items():
        for body in bodies:
            await _refused(side, path, field, {"content": body, "headers": FRAME})
    for path, document in [
        ("/v1/functions", {**function_head(), "payload": base64_of(b"x"), **extra}),
        ("/v1/endpoints", {**endpoint_json(), **extra}),
        ("/v1/tasks", {"tasks": [{**one, **extra}]}),
        ("/v1/tasks", {"tasks": [one], **extra}),
        ("/v1/tasks/cancel", {"tasks": [{**name, **extra}]}),
    ]:
        await _refused(side, path, field, {"json": document})
    assert [len(await side.records(topic)) for topic in ("functions", "endpoints", "tasks")] == before
