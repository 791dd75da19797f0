"""Attacks on the endpoints' door, and what each is answered. Numbers are rows of the list of attacks."""

import math
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import httpx2
import msgspec
import pytest
from tests.support.apps import ADA, client_of, routes_of
from tests.support.endpoints import (
    GatewayParts,
    TestEndpoint,
    function_registered,
    gateway_over,
    memory_log,
    say,
)

from funcledger_event_log.endpoint_wire import EVENTS_LIMIT, pack_appends
from funcledger_event_log.memory import MemoryLog
from funcledger_event_log.records import Position
from funcledger_schemas import codec, frames, manifest
from funcledger_schemas.events import EndpointDeleted, Event, TaskStarted
from funcledger_schemas.ids import new_id
from funcledger_schemas.limits import PAYLOAD_LIMIT
from funcledger_web.tokens import ENDPOINT_PREFIX, new_token

GATEWAY = "/v1/gateway"
TOO_MANY = [0] * (EVENTS_LIMIT + 1)
STARTED = manifest.latest("TaskStarted").dataschema
AGENT_STARTED = manifest.latest("EndpointStarted").dataschema


@dataclass
class Scene:
    """A gateway, two endpoints on one partition, and a client with the first one's credential."""

    log: MemoryLog
    parts: GatewayParts
    ours: TestEndpoint
    theirs: TestEndpoint
    client: httpx2.AsyncClient

    async def append(self, *said: Event) -> httpx2.Response:
        (frame,) = pack_appends(said)
        return await self.client.post(f"{GATEWAY}/events", content=frame)


@pytest.fixture
async def scene() -> AsyncIterator[Scene]:
    log, ours, theirs = await memory_log(), TestEndpoint(), TestEndpoint()
    await say(log, ours.registered(), theirs.registered())
    async with gateway_over(log) as parts, client_of(parts.app, ours.credential) as client:
        yield Scene(log, parts, ours, theirs, client)


def problem(response: httpx2.Response) -> tuple[int, str]:
    slug: str = response.json()["type"]
    return response.status_code, slug.removeprefix("urn:funcledger:problem:")


async def test_row_1_no_route_of_the_gateway_answers_without_a_good_credential(scene: Scene) -> None:
    bodies = set()
    routes = [each for each in routes_of(scene.parts.app) if GATEWAY in each[1]]
    assert len(routes) >= 9
    for token in (None, "nonsense", new_token(ENDPOINT_PREFIX)):
        async with client_of(scene.parts.app, token) as client:
            for method, path in routes:
                answer = await client.request(method, path)
                assert answer.status_code == 401
                assert answer.headers["WWW-Authenticate"] == "Bearer"
                bodies.add(answer.content)
    assert len(bodies) == 1


async def test_row_1_a_deleted_endpoints_credential_opens_nothing(scene: Scene) -> None:
    deleted = EndpointDeleted(
        event_id=new_id(), occurred_at=1, actor="user:ada", endpoint_id=scene.ours.endpoint_id, owner="ada"
    )
    assert (await scene.client.get(f"{GATEWAY}/identity")).status_code == 200
    await say(scene.log, deleted)
    await scene.parts.catalogue_tail.catch_up(2.0)
    assert problem(await scene.client.get(f"{GATEWAY}/identity")) == (401, "unauthenticated")


async def test_row_4_a_users_token_opens_no_route_of_the_gateway(scene: Scene) -> None:
    async with client_of(scene.parts.app, ADA) as client:
        for method, path in routes_of(scene.parts.app):
            if GATEWAY in path:
                assert problem(await client.request(method, path)) == (403, "forbidden"), path


async def test_row_14_an_endpoint_reads_nothing_of_another(scene: Scene) -> None:
    body = function_registered(b"secret code")
    await say(scene.log, body)
    task = scene.theirs.submitted(b"secret", function_id=body.function_id, function_hash=body.payload_sha256)
    await say(scene.log, task, partition=1)
    await say(scene.log, scene.theirs.completed(task, None, b"secret"), partition=1)
    function = await scene.client.get(f"{GATEWAY}/functions/{body.payload_sha256}", params={"offset": 0})
    assert problem(function) == (404, "function-not-found")
    fetched = await scene.client.post(f"{GATEWAY}/tasks/fetch", json={"offsets": [0]})
    results = await scene.client.get(f"{GATEWAY}/results", params={"start": 0, "end": 9})
    for answer in (function, fetched, results):
        assert b"secret" not in answer.content
        assert task.task_id.encode() not in answer.content


async def test_a_function_is_given_only_for_a_task_that_calls_it(scene: Scene) -> None:
    body = function_registered(b"code")
    await say(scene.log, body)
    await say(scene.log, scene.ours.submitted(), partition=1)
    for content_hash, offset in ((body.payload_sha256, 0), ("f" * 64, 0), (body.payload_sha256, 7)):
        answer = await scene.client.get(f"{GATEWAY}/functions/{content_hash}", params={"offset": offset})
        assert problem(answer) == (404, "function-not-found")


async def test_row_5_an_event_that_names_another_endpoint_is_refused_whole(scene: Scene) -> None:
    mine, foreign = scene.ours.submitted(), scene.theirs.submitted()
    answer = await scene.append(scene.ours.begun(mine, 0), scene.theirs.completed(foreign, 0))
    assert problem(answer) == (403, "forbidden")
    assert await scene.log.ends("results") == {0: 0, 1: 0}


async def test_an_event_in_the_name_of_the_keeper_or_a_user_is_refused(scene: Scene) -> None:
    task = scene.ours.submitted()
    as_keeper = scene.ours.completed(task, None)
    as_user = TaskStarted(
        event_id=new_id(), occurred_at=1, actor="user:ada", endpoint_id=scene.ours.endpoint_id, owner="ada",
        task_id=task.task_id, batch_id=task.batch_id, epoch=0, attempt=1, worker="0",
    )  # fmt: skip
    for event in (as_keeper, as_user, scene.ours.heartbeat(None)):
        assert problem(await scene.append(event)) == (403, "forbidden")


async def test_headers_on_the_log_are_the_gateways_own(scene: Scene) -> None:
    """A schema id that lies is not taken over: the event is written anew."""
    start = scene.ours.started()
    value = bytearray(codec.encode(start))
    value[1:5] = (9999).to_bytes(4, "big")
    head = {"schemas": [AGENT_STARTED], "schema": [0], "sizes": [len(value)]}
    answer = await scene.client.post(f"{GATEWAY}/events", content=frames.pack(head, [bytes(value)]))
    assert answer.json() == {"offsets": [0]}
    (record,) = await scene.log.read([Position("results", 1, 0)])
    assert record is not None
    assert (record.value, record.key) == (codec.encode(start), scene.ours.endpoint_id.encode())


@pytest.mark.parametrize(
    "frame",
    [
        b"",
        b"\0\0\0\x09{}",
        frames.pack({"schemas": [], "schema": [], "sizes": [], "epoch": 3}),
        frames.pack({"schemas": [STARTED], "schema": [0]}),
        frames.pack({"schemas": [STARTED], "schema": [1], "sizes": [1]}, [b"x"]),
        frames.pack({"schemas": [STARTED], "schema": [0], "sizes": [-1]}),
        frames.pack({"schemas": [STARTED], "schema": [0], "sizes": [9]}, [b"x"]),
        frames.pack({"schemas": [STARTED], "schema": [0, 0], "sizes": [0]}),
        frames.pack({"schemas": [STARTED], "schema": [0], "sizes": [3]}, [b"\0\0\0"]),
        frames.pack({"schemas": [STARTED], "schema": [0], "sizes": [9]}, [b"\0" * 5 + b"\xff" * 4]),
        frames.pack({"schemas": ["urn:evil"], "schema": [0], "sizes": [5]}, [b"\0" * 5]),
        frames.pack({"schemas": [STARTED], "schema": TOO_MANY, "sizes": TOO_MANY}),
        b"\0\0\x03\xe8" + b"[" * 1000,
    ],
    ids=range(13),
)  # fmt: skip
async def test_row_15_and_16_a_malformed_frame_is_refused_and_leaves_nothing(
    scene: Scene, frame: bytes
) -> None:
    answer = await scene.client.post(f"{GATEWAY}/events", content=frame)
    assert problem(answer) == (422, "invalid-request")
    assert await scene.log.ends("results") == {0: 0, 1: 0}


@pytest.mark.parametrize("size", [PAYLOAD_LIMIT, PAYLOAD_LIMIT + 1])
async def test_law_12_a_results_payload_is_limited(scene: Scene, size: int) -> None:
    await scene.append(scene.ours.started())
    task = scene.ours.submitted()
    await say(scene.log, task, partition=1)
    answer = await scene.append(scene.ours.completed(task, 0, b"x" * size))
    if size > PAYLOAD_LIMIT:
        assert problem(answer) == (413, "payload-too-large")
        assert str(size) in answer.json()["detail"]
    else:
        assert answer.json() == {"offsets": [1]}


@pytest.mark.parametrize("name", ["run_time", "cpu_time", "load"])
@pytest.mark.parametrize("measured", [math.nan, math.inf, -math.inf])
async def test_row_6_what_is_no_number_is_refused(scene: Scene, name: str, measured: float) -> None:
    """JSON has no place for it, so no answer could tell it."""
    await scene.append(scene.ours.started())
    event = scene.ours.heartbeat(0) if name == "load" else scene.ours.completed(scene.ours.submitted(), 0)
    answer = await scene.append(msgspec.structs.replace(event, **{name: measured}))
    assert problem(answer) == (422, "invalid-request")
    assert name in answer.json()["detail"]


@pytest.mark.parametrize(
    ("method", "path", "options"),
    [
        ("GET", "tasks?start=-1&credit=1&credit_bytes=1", {}),
        ("GET", f"tasks?start={1 << 63}&credit=1&credit_bytes=1", {}),
        ("GET", "results?start=a&end=1", {}),
        ("POST", "tasks/fetch", {"json": {"offsets": [0] * 1001}}),
        ("POST", "tasks/fetch", {"json": {"offsets": [0], "owner": "eve"}}),
        ("PUT", "position", {"json": {"offset": 1, "metadata": "x" * 4096}}),
        ("PUT", "position", {"json": {"offset": 1, "metadata": "", "epoch": 1}}),
        ("GET", "functions/nonsense?offset=0", {}),
    ],
)
async def test_row_6_bad_parameters_are_named(
    scene: Scene, method: str, path: str, options: dict[str, Any]
) -> None:
    answer = await scene.client.request(method, f"{GATEWAY}/{path}", **options)
    assert problem(answer) == (422, "invalid-request")
    assert answer.json()["errors"]
