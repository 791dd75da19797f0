"""POST /v1/tasks and cancels: what is taken, what is refused and how, and what then stands on the log."""

import asyncio
import hashlib
import re
from collections.abc import AsyncIterator
from typing import Any

import pytest
from tests.support.apps import BOB
from tests.support.commands import (
    FRAME,
    Side,
    base64_of,
    command_side,
    endpoint_json,
    group,
    post_tasks,
    slug_of,
    submitted,
    task_frame,
)

from funcledger_command_api import commands
from funcledger_command_api.api import ABOUT
from funcledger_command_api.recent import Recent
from funcledger_event_log.records import Token
from funcledger_schemas import frames
from funcledger_schemas.events import TaskCancelRequested
from funcledger_schemas.ids import new_id
from funcledger_schemas.limits import BODY_LIMIT, PAYLOAD_LIMIT


@pytest.fixture
async def side() -> AsyncIterator[Side]:
    async with command_side() as running:
        yield running


async def test_a_frame_becomes_one_event_a_task_in_the_endpoints_partition(side: Side) -> None:
    """Owner and function hash are the server's word; payload bytes are the client's, untouched."""
    await side.endpoint("other")
    endpoint, function = await side.endpoint("lab"), await side.register(b"code")
    payloads = [b"one", b"", b"three" * 100]
    asked = group(endpoint, function, payloads, walltime=2.5, resource_specification={"nodes": 2})
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    body = task_frame([asked], payloads, batch_size=3)
    response = await side.client.post("/v1/tasks", content=body, headers={**FRAME, "traceparent": trace})
    assert response.status_code == 202, response.text
    records = await side.records("tasks")
    assert {record.partition for record in records} == {side.catalogue.endpoints[endpoint].partition}
    assert str(Token.after([record.position for record in records])) == response.json()["position"]
    assert response.headers["Funcledger-Position"] == response.json()["position"]
    assert all(("traceparent", trace.encode()) in record.headers for record in records)
    events = await submitted(side)
    assert [event.task_id for event in events] == asked["task_ids"]
    assert [event.payload for event in events] == payloads
    assert [event.batch_index for event in events] == [0, 1, 2]
    assert {(event.owner, event.actor, event.batch_size) for event in events} == {("ada", "user:ada", 3)}
    assert {event.function_hash for event in events} == {hashlib.sha256(b"code").hexdigest()}
    assert {event.resource_specification for event in events} == {'{"nodes":2}'}


async def test_json_makes_up_the_ids_that_are_left_out(side: Side) -> None:
    endpoint, function = await side.endpoint(), await side.register()
    one = {"endpoint_id": endpoint, "function_id": function, "payload_format": "json"}
    tasks = [{**one, "payload": base64_of(b"[1]")}, {**one, "payload": base64_of(b"[2]")}]
    response = await side.client.post("/v1/tasks", json={"tasks": tasks})
    assert response.status_code == 202, response.text
    events = await submitted(side)
    assert [event.payload for event in events] == [b"[1]", b"[2]"]
    assert [event.task_id for event in events] == response.json()["task_ids"]
    assert {event.batch_id for event in events} == {response.json()["batch_id"]}
    assert [(event.batch_index, event.batch_size) for event in events] == [(0, 2), (1, 2)]


def _broken(endpoint: str, function: str) -> dict[str, tuple[bytes, str]]:
    """Bodies that are wrong, by what is wrong with them, and the field that must be named."""
    ok = group(endpoint, function, [b"x"])
    wrong: list[tuple[str, dict[str, Any], str]] = [
        ("malformed task id", {"task_ids": ["../etc/passwd"]}, "groups.0.task_ids.0"),
        ("upper-case id", {"endpoint_id": endpoint.upper()}, "groups.0.endpoint_id"),
        ("no tasks", {"task_ids": [], "sizes": [], "batch_indexes": []}, "groups.0.task_ids"),
        ("columns differ", {"batch_indexes": [0, 1]}, "groups.0.batch_indexes"),
        ("negative size", {"sizes": [-1]}, "groups.0.sizes.0"),
        ("sizes beyond the body", {"sizes": [2]}, "sizes"),
        ("size as text", {"sizes": ["1"]}, "groups.0.sizes.0"),
        ("endless walltime", {"walltime": float("inf")}, "groups.0.walltime"),
        ("no attempts", {"max_attempts": 0}, "groups.0.max_attempts"),
        ("settings that are not JSON", {"endpoint_config": {"a": float("nan")}}, "groups.0.endpoint_config"),
        ("huge settings", {"endpoint_config": {"a": "x" * 20_000}}, "groups.0.endpoint_config"),
    ]
    bodies = {name: (task_frame([{**ok, **field}], [b"x"]), named) for name, field, named in wrong}
    twice = {**group(endpoint, function, [b"x", b"x"]), "task_ids": [ok["task_ids"][0]] * 2}
    return {
        **bodies,
        "a task id twice": (task_frame([twice], [b"x", b"x"]), "task_ids"),
        "no groups": (task_frame([], []), "groups"),
        "no batch": (frames.pack({"groups": [ok]}, [b"x"]), "batch_id"),
        "not a frame": (b"\xff\xff\xff\xffnonsense", "frame"),
        "empty": (b"", "frame"),
        "a head that is not JSON": (b"\0\0\0\x02{]", "body"),
        "a head too deep": ((100_000).to_bytes(4, "big") + b"[" * 100_000, "body"),
        "lone surrogate": (frames.pack({"batch_id": "\ud800", "groups": [ok]}, [b"x"]), "body"),
    }


async def test_bad_requests_name_the_field_and_leave_nothing_on_the_log(side: Side) -> None:
    endpoint, function = await side.endpoint(), await side.register()
    for name, (body, field) in _broken(endpoint, function).items():
        response = await post_tasks(side, body)
        assert response.status_code == 422, (name, response.text)
        assert field in [error["field"] for error in response.json()["errors"]], (name, response.text)
    assert await side.records("tasks") == []


async def test_an_empty_list_is_refused(side: Side) -> None:
    response = await side.client.post("/v1/tasks", json={"tasks": []})
    assert (response.status_code, slug_of(response)) == (422, "invalid-request")


async def test_neither_frame_nor_json_is_a_415(side: Side) -> None:
    response = await side.client.post("/v1/tasks", content=b"x", headers={"Content-Type": "text/plain"})
    assert response.status_code == 415


async def test_one_unknown_id_refuses_all_and_is_named(side: Side) -> None:
    """All or nothing: the good group of the same request is not submitted either."""
    endpoint, function = await side.endpoint(), await side.register()
    good = group(endpoint, function, [b"x"])
    for slug, bad in [
        ("function-not-found", group(endpoint, new_id(), [b"x"])),
        ("endpoint-not-found", group(new_id(), function, [b"x"])),
    ]:
        response = await post_tasks(side, task_frame([good, bad], [b"x", b"x"]))
        assert (response.status_code, slug_of(response)) == (404, slug)
        assert bad[slug.removesuffix("-not-found") + "_id"] in response.json()["detail"]
    assert await side.records("tasks") == []


@pytest.mark.parametrize(
    ("size", "status"), [(PAYLOAD_LIMIT - 1, 202), (PAYLOAD_LIMIT, 202), (PAYLOAD_LIMIT + 1, 413)]
)
async def test_law_12_limits_of_arguments(side: Side, size: int, status: int) -> None:
    """5 MiB less one byte, 5 MiB, and one more: the last is refused, naming the task, with both numbers."""
    endpoint, function = await side.endpoint(), await side.register()
    payloads = [b"small", b"x" * size]
    asked = group(endpoint, function, payloads)
    response = await post_tasks(side, task_frame([asked], payloads))
    assert response.status_code == status, response.text
    if status == 413:
        assert slug_of(response) == "payload-too-large"
        assert asked["task_ids"][1] in response.json()["detail"]
        assert (response.json()["size"], response.json()["limit"]) == (size, PAYLOAD_LIMIT)
    assert len(await side.records("tasks")) == (2 if status == 202 else 0)


async def test_law_9_a_client_never_goes_back_in_time() -> None:
    """What one API has acknowledged another knows, with the token and also without: never a false 404."""
    async with command_side() as one, command_side(one.log) as other:
        for headers in (True, False):
            function = await one.register()
            response = await one.client.post("/v1/endpoints", json=endpoint_json(f"lab {headers}"))
            seen = {"Funcledger-Position": response.json()["position"]} if headers else {}
            body = task_frame([group(response.json()["endpoint_id"], function, [b"x"])], [b"x"])
            answer = await other.client.post("/v1/tasks", content=body, headers={**FRAME, **seen})
            assert answer.status_code == 202, answer.text


async def test_law_9_a_token_ahead_of_the_log_is_answered_behind(
    side: Side, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commands, "PATIENCE", 0.05)
    headers = {**FRAME, "Funcledger-Position": "functions:0:7,tasks:1:900"}
    response = await side.client.post("/v1/tasks", content=b"", headers=headers)
    assert (response.status_code, slug_of(response)) == (503, "behind")
    assert response.headers["Retry-After"]
    assert response.json()["lag"] == 7


@pytest.mark.parametrize("token", ["nonsense", "functions:0", "functions:x:1", "secrets:0:1"])
async def test_a_token_that_is_none_of_ours_is_a_422(side: Side, token: str) -> None:
    response = await side.client.post(
        "/v1/tasks", content=b"", headers={**FRAME, "Funcledger-Position": token}
    )
    assert response.status_code == 422, response.text
    assert response.json()["errors"][0]["field"] == "Funcledger-Position"


async def test_cancelling_asks_in_the_callers_name_only(side: Side) -> None:
    """The event's key holds its owner: Bob cancels a task of Bob's of that id, never Ada's."""
    endpoint, batch, task = await side.endpoint(public=True), new_id(), new_id()
    name = {"task_id": task, "endpoint_id": endpoint, "batch_id": batch}
    one = {"endpoint_id": endpoint, "batch_id": batch}
    assert (await side.client.post("/v1/tasks/cancel", json={"tasks": [name]})).json()["accepted"] == 1
    async with side.as_user(BOB) as bob:
        assert (await bob.post(f"/v1/tasks/{task}/cancel", json=one)).status_code == 202
    events = [record.event() for record in await side.records("tasks")]
    assert all(isinstance(event, TaskCancelRequested) for event in events)
    assert [(e.owner, e.task_id, e.batch_id) for e in events] == [("ada", task, batch), ("bob", task, batch)]  # type: ignore[attr-defined]


async def test_cancelling_refuses_bad_and_unknown_ids(side: Side) -> None:
    one = {"endpoint_id": new_id(), "batch_id": new_id()}
    assert (await side.client.post("/v1/tasks/nonsense/cancel", json=one)).status_code == 422
    response = await side.client.post(f"/v1/tasks/{new_id()}/cancel", json=one)
    assert (response.status_code, slug_of(response)) == (404, "endpoint-not-found")
    assert one["endpoint_id"] in response.json()["detail"]
    assert (await side.client.post("/v1/tasks/cancel", json={"tasks": []})).status_code == 422


async def test_settings_are_bounded_by_what_they_come_to_on_the_log(side: Side) -> None:
    """A small body cannot ask for gigabytes to be written."""
    settings = {"a": "x" * 16_000}
    payloads = [b""] * (BODY_LIMIT // 16_000 + 1)
    asked = group(await side.endpoint(), await side.register(), payloads, endpoint_config=settings)
    response = await post_tasks(side, task_frame([asked], payloads))
    assert (response.status_code, slug_of(response)) == (413, "body-too-large")


async def test_the_memory_of_recent_submissions_is_bounded() -> None:
    recent, answer = Recent(kept=100), asyncio.get_running_loop().create_future()
    keys = [("e", "o", str(number)) for number in range(1000)]
    for key in keys:
        recent.take([key], ["d"], answer)
    known = recent.known(keys, ["d"] * len(keys))
    assert set(keys[-100:]) <= set(known)
    assert len(known) <= 202


async def test_the_version_lists_the_fields_of_a_task() -> None:
    """ATTACKS 6: how a newer SDK knows what this server accepts; the fields are those of the model."""
    fields = {"task_id", "endpoint_id", "function_id", "walltime", "max_attempts", "payload_format"}
    assert fields <= set(ABOUT["task_fields"])


async def test_the_description_holds_every_schema_it_refers_to(side: Side) -> None:
    """Both forms of the body are described, and each reference leads somewhere."""
    response = await side.client.get("/openapi.json")
    description = response.json()
    content = description["paths"]["/v1/tasks"]["post"]["requestBody"]["content"]
    assert set(content) == {frames.MEDIA_TYPE, "application/json"}
    assert "sizes" in str(content[frames.MEDIA_TYPE]["schema"]["x-head"])
    references = set(re.findall(r'"\$ref":\s*"#/([^"]+)"', response.text))
    assert references
    for reference in references:
        found = description
        for part in reference.split("/"):
            found = found[part]
