"""What a request costs grows no faster than what it sends or asks for: time and memory at n and at 4 n.

A row for every route that is sent a body, or is asked for a number of things: a route without one fails
here. Bodies are such as clients send and such as nobody would: what is refused costs its server, too.
"""

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any

import httpx2
import pytest
from fastapi import FastAPI
from tests.support import commands, queries
from tests.support.apps import client_of
from tests.support.commands import FRAME, base64_of, endpoint_json, function_head, task_frame
from tests.support.endpoints import GatewayParts, TestEndpoint, gateway_over, memory_log, say
from tests.support.growth import check_linear, cost

from funcledger_event_log.endpoint_wire import EVENTS_LIMIT, FETCH_LIMIT, pack_appends
from funcledger_query_api import schema_registry
from funcledger_query_api.results import IDS_LIMIT
from funcledger_schemas import frames
from funcledger_schemas.ids import new_id

pytestmark = pytest.mark.attack(37)

JSON = {"Content-Type": "application/json"}
#: More than this for a byte that was sent, beyond a few MiB, is for the machine to say no to.
MOST_FOR_A_BYTE = 100
ROUNDS = 2
Route = tuple[str, str]


@dataclass
class World:
    """The three apps, with something in them to be asked for."""

    command: commands.Side
    query: queries.Side
    gateway: GatewayParts
    agent: httpx2.AsyncClient
    endpoint_id: str
    function_id: str
    endpoint: TestEndpoint
    batch: str
    #: More of what is listed, so that a test sees whether it is read.
    more: Callable[[int], Awaitable[None]]


#: One request: the method and URL, and what it sends.
Asked = tuple[str, str, Mapping[str, Any]]


@dataclass(frozen=True)
class Row:
    """A request about ``n`` things to one route of an app; ``n`` at first, then 4 ``n``."""

    route: Route
    what: str
    n: int
    make: Callable[[World, int], Asked]
    statuses: tuple[int, ...] = (200,)

    def __str__(self) -> str:
        return f"{' '.join(self.route)}: {self.what}"


def _sent(body: bytes, headers: Mapping[str, str] = JSON) -> dict[str, Any]:
    return {"content": body, "headers": dict(headers)}


def _tasks(group: Mapping[str, Any]) -> Callable[[World, int], Asked]:
    """A frame of one group in which some columns are replaced by ``n`` times what is given."""

    def make(world: World, n: int) -> Asked:
        columns = {name: value * n for name, value in group.items()}
        asked = commands.group(world.endpoint_id, world.function_id, [b"x"]) | columns
        return "POST", "/v1/tasks", _sent(task_frame([asked], [b"x"]), FRAME)

    return make


def _good_tasks(world: World, n: int) -> Asked:
    payloads = [b"x" * 20] * n
    asked = commands.group(world.endpoint_id, world.function_id, payloads)
    return "POST", "/v1/tasks", _sent(task_frame([asked], payloads), FRAME)


def _tasks_of_many_groups(world: World, n: int) -> Asked:
    groups = [commands.group(world.endpoint_id, world.function_id, [b"x"]) for _ in range(n)]
    return "POST", "/v1/tasks", _sent(task_frame(groups, [b"x"] * n), FRAME)


def _tasks_in_json(world: World, n: int) -> Asked:
    task = {
        "endpoint_id": world.endpoint_id, "function_id": world.function_id,
        "payload_format": "pickle", "payload": base64_of(b"x"),
    }  # fmt: skip
    return "POST", "/v1/tasks", _sent(json.dumps({"tasks": [task] * n}).encode())


def _cancels(same: bool) -> Callable[[World, int], Asked]:
    def make(world: World, n: int) -> Asked:
        one = {"endpoint_id": world.endpoint_id, "batch_id": new_id(), "task_id": new_id()}
        tasks = [one if same else {**one, "task_id": new_id()} for _ in range(n)]
        return "POST", "/v1/tasks/cancel", _sent(json.dumps({"tasks": tasks}).encode())

    return make


def _junk(
    path: str, text: Callable[[int], str], headers: Mapping[str, str] = JSON
) -> Callable[[World, int], Asked]:
    """JSON, or a frame's head, that nobody would send."""

    def make(_world: World, n: int) -> Asked:
        body = text(n).encode()
        return "POST", path, _sent(frames.pack_encoded(body) if headers is FRAME else body, headers)

    return make


def _keys(n: int) -> str:
    return json.dumps({f"{number:x}": 0 for number in range(n)})


def _nothings(name: str) -> Callable[[int], str]:
    return lambda n: f'{{"{name}":[{",".join(["{}"] * n)}]}}'


def _lists(n: int) -> str:
    return f"[{','.join(['[]'] * n)}]"


def _endpoint(world: World, n: int) -> Asked:
    body = endpoint_json(metadata={"values": [0] * n}, name=new_id().replace("-", "x"))
    return "POST", "/v1/endpoints", _sent(json.dumps(body).encode())


def _function(_world: World, n: int) -> Asked:
    body = {**function_head(metadata={"values": [0] * n}), "payload": base64_of(bytes(n))}
    return "POST", "/v1/functions", _sent(json.dumps(body).encode())


def _results(same: bool) -> Callable[[World, int], Asked]:
    def make(_world: World, n: int) -> Asked:
        one = new_id()
        return "POST", "/v1/results", {"json": {"task_ids": [one if same else new_id() for _ in range(n)]}}

    return make


def _events(world: World, n: int) -> Asked:
    tasks = [world.endpoint.submitted() for _ in range(n)]
    (frame,) = pack_appends([world.endpoint.begun(task, 0) for task in tasks])
    return "POST", "/v1/gateway/events", _sent(frame, FRAME)


def _event_columns(name: str, value: Any) -> Callable[[World, int], Asked]:
    def make(_world: World, n: int) -> Asked:
        head = {"schemas": ["a"], "schema": [0], "sizes": [0]} | {name: [value] * n}
        return "POST", "/v1/gateway/events", _sent(frames.pack(head), FRAME)

    return make


SUBMIT, CANCEL = ("POST", "/v1/tasks"), ("POST", "/v1/tasks/cancel")
FUNCTIONS, ENDPOINTS = ("POST", "/v1/functions"), ("POST", "/v1/endpoints")
RESULTS, EVENTS, FETCH = (
    ("POST", "/v1/results"),
    ("POST", "/v1/gateway/events"),
    ("POST", "/v1/gateway/tasks/fetch"),
)
REFUSED = (413, 422)
ROWS = [
    Row(SUBMIT, "tasks", 500, _good_tasks, (202,)),
    Row(SUBMIT, "tasks of many groups", 250, _tasks_of_many_groups, (202,)),
    Row(SUBMIT, "tasks in JSON", 250, _tasks_in_json, (202,)),
    Row(SUBMIT, "negative sizes", 15_000, _tasks({"sizes": [-1]}), REFUSED),
    Row(SUBMIT, "sizes of nothing", 8_000, _tasks({"sizes": [0]}), REFUSED),
    Row(SUBMIT, "wrong indexes", 15_000, _tasks({"batch_indexes": [""]}), REFUSED),
    Row(SUBMIT, "wrong ids", 15_000, _tasks({"task_ids": [1]}), REFUSED),
    Row(SUBMIT, "unknown fields", 8_000, _junk("/v1/tasks", _keys, FRAME), REFUSED),
    Row(SUBMIT, "empty groups", 15_000, _junk("/v1/tasks", _nothings("groups"), FRAME), REFUSED),
    Row(SUBMIT, "empty tasks in JSON", 15_000, _junk("/v1/tasks", _nothings("tasks")), REFUSED),
    Row(SUBMIT, "lists of nothing", 130_000, _junk("/v1/tasks", _lists, FRAME), REFUSED),
    Row(CANCEL, "tasks", 500, _cancels(same=False), (202,)),
    Row(CANCEL, "one task", 2_000, _cancels(same=True), (202,)),
    Row(CANCEL, "empty tasks", 15_000, _junk("/v1/tasks/cancel", _nothings("tasks")), REFUSED),
    Row(CANCEL, "unknown fields", 8_000, _junk("/v1/tasks/cancel", _keys), REFUSED),
    Row(CANCEL, "lists of nothing", 130_000, _junk("/v1/tasks/cancel", _lists), REFUSED),
    Row(("POST", "/v1/tasks/{task_id}/cancel"), "unknown fields", 8_000,
        _junk(f"/v1/tasks/{new_id()}/cancel", _keys), REFUSED),
    Row(FUNCTIONS, "metadata", 2_000, _function, (201,)),
    Row(FUNCTIONS, "unknown fields", 8_000, _junk("/v1/functions", _keys, FRAME), REFUSED),
    Row(ENDPOINTS, "metadata", 2_000, _endpoint, (201,)),
    Row(ENDPOINTS, "unknown fields", 8_000, _junk("/v1/endpoints", _keys), REFUSED),
    Row(RESULTS, "unknown tasks", IDS_LIMIT // 8, _results(same=False)),
    Row(RESULTS, "one task", IDS_LIMIT // 4, _results(same=True)),
    Row(RESULTS, "wrong ids", 15_000, _junk("/v1/results", _nothings("task_ids")), REFUSED),
    Row(("GET", "/v1/results/stream"), "wrong ids", 1_200,
        lambda _world, n: ("GET", "/v1/results/stream", {"params": {"batch_id": ["x"] * n}}), (422,)),
    Row(("POST", "/v1/results/stream"), "wrong ids", 15_000,
        _junk("/v1/results/stream", _nothings("joining")), REFUSED),
    Row(("POST", "/v1/results/stream/{stream_id}"), "no such stream", 2_500,
        lambda _world, n: ("POST", f"/v1/results/stream/{new_id()}",
                           {"json": {"add": [new_id() for _ in range(n)]}}), (410,)),
    Row(EVENTS, "events", EVENTS_LIMIT // 8, _events),
    Row(EVENTS, "negative sizes", 15_000, _event_columns("sizes", -1), REFUSED),
    Row(EVENTS, "sizes of nothing", 15_000, _event_columns("sizes", 0), REFUSED),
    Row(EVENTS, "schemas", 15_000, _event_columns("schemas", "a"), REFUSED),
    Row(FETCH, "offsets", FETCH_LIMIT // 4,
        lambda _world, n: ("POST", "/v1/gateway/tasks/fetch", {"json": {"offsets": list(range(n))}})),
    Row(FETCH, "one offset", FETCH_LIMIT // 4,
        lambda _world, n: ("POST", "/v1/gateway/tasks/fetch", {"json": {"offsets": [0] * n}})),
    Row(FETCH, "wrong offsets", 15_000, _junk("/v1/gateway/tasks/fetch", _nothings("offsets")), REFUSED),
    Row(("PUT", "/v1/gateway/position"), "unknown fields", 8_000,
        lambda _world, n: ("PUT", "/v1/gateway/position", _sent(_keys(n).encode())), REFUSED),
]  # fmt: skip

#: What a listing is asked for when there is ever more that it could list.
LISTS = {
    ("GET", "/v1/tasks"): "/v1/tasks?limit=1",
    ("GET", "/v1/functions"): "/v1/functions?limit=1",
    ("GET", "/v1/endpoints"): "/v1/endpoints?limit=1",
}
#: Routes that are sent or asked for one thing, or for what is the asker's own and no list of its wishes.
ONE_THING = {
    ("DELETE", "/v1/functions/{function_id}"),
    ("DELETE", "/v1/endpoints/{endpoint_id}"),
    *((method, f"/v1/{kind}s/{{{kind}_id}}/shares/{{kind}}/{{grantee}}")
      for method in ("PUT", "DELETE") for kind in ("function", "endpoint")),
    # Counts the caller's own batch, whose tasks they have sent.
    ("GET", "/v1/batches/{batch_id}"),
    # The endpoint's own partition from an offset on; in batches of bounded size.
    ("GET", "/v1/gateway/tasks"),
    ("GET", "/v1/gateway/results"),
}  # fmt: skip


@pytest.fixture
async def world() -> AsyncIterator[World]:
    async with AsyncExitStack() as stack:
        command = await stack.enter_async_context(commands.command_side())
        query = await stack.enter_async_context(queries.query_side())
        log, endpoint = await memory_log(), TestEndpoint()
        await say(log, endpoint.registered())
        gateway = await stack.enter_async_context(gateway_over(log))
        agent = await stack.enter_async_context(client_of(gateway.app, endpoint.credential))
        await say(log, *(endpoint.submitted() for _ in range(FETCH_LIMIT)), endpoint.started())

        async def more(count: int) -> None:
            for _ in range(count // 3):
                theirs, number = {"owner": "eve", "name": "many"}, new_id()
                await query.append(queries.function(number, **theirs), partition=0)
                await query.append(queries.registered(number, **theirs), partition=0)
                await query.append(queries.Task(owner="eve").submitted())
            await query.append(queries.function(new_id()), partition=0)
            await query.append(queries.Task().submitted())
            await query.project()

        known = await command.endpoint(), await command.register()
        yield World(command, query, gateway, agent, *known, endpoint, new_id(), more)


def _client(world: World, path: str) -> httpx2.AsyncClient:
    """The client of the app that answers this address with this method."""
    if path.startswith("/v1/gateway"):
        return world.agent
    return world.query.client if path.startswith("/v1/results") else world.command.client


def _made(world: World, row: Row, n: int) -> list[Asked]:
    return [row.make(world, n) for _ in range(ROUNDS + 1)]


@pytest.mark.parametrize("row", ROWS, ids=str)
async def test_a_request_costs_time_and_memory_by_its_size(world: World, row: Row) -> None:
    client = _client(world, row.route[1])
    costs, size = [], 0
    for n in (row.n, 4 * row.n):
        # Made before, so that what it takes to ask is not counted; each anew, since ids are used once.
        asked = [client.build_request(method, url, **sent) for method, url, sent in _made(world, row, n)]
        size = len(asked[0].content) + len(str(asked[0].url))

        async def ask(left: list[httpx2.Request] = asked, n: int = n) -> None:
            answer = await client.send(left.pop())
            allowed = row.statuses if n == row.n else row.statuses + REFUSED
            assert answer.status_code in allowed, answer.text[:500]

        costs.append(await cost(ask, rounds=ROUNDS))
    small, large = costs
    check_linear(small, large)
    assert large.bytes <= MOST_FOR_A_BYTE * size + (8 << 20), (costs, size)


@pytest.mark.parametrize("route", LISTS, ids=" ".join)
async def test_a_list_costs_what_it_shows_whatever_there_is(world: World, route: Route) -> None:
    """One item, before and after others have made thousands."""

    async def ask() -> None:
        answer = await world.query.client.get(LISTS[route])
        assert answer.status_code == 200
        (shown,) = (value for value in answer.json().values() if isinstance(value, list))
        assert len(shown) == 1

    await world.more(300)
    small = await cost(ask, rounds=3)
    await world.more(3_000)
    large = await cost(ask, rounds=3)
    assert large.seconds < 3 * small.seconds + 0.01, (small, large)
    assert large.bytes < 2 * small.bytes + (1 << 18), (small, large)


def test_every_route_that_takes_a_body_or_a_number_of_things_has_a_row(world: World) -> None:
    """So that the next one is thought of."""
    apps = (world.command.app, world.query.app, world.gateway.app)
    there = {route for app in apps for route in _counting(app)}
    assert there == {row.route for row in ROWS} | set(LISTS) | ONE_THING
    registry = schema_registry.router("")
    assert all(route.methods == {"GET"} for route in registry.routes if hasattr(route, "methods"))


def _counting(app: FastAPI) -> set[Route]:
    """The routes of an app that are sent something, or told how much of something to give."""
    found = set()
    for path, methods in app.openapi()["paths"].items():
        for method, operation in methods.items():
            names = {each["name"] for each in operation.get("parameters", ()) if each["in"] == "query"}
            if method != "get" or names & {"limit", "credit", "start", "batch_id"}:
                found.add((method.upper(), path))
    return found
