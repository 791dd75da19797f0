"""What every app keeps, whatever its routes: problems, limits, guarded routes, health, metrics."""

import asyncio
from collections.abc import AsyncIterator, MutableMapping
from typing import Annotated, Any

import httpx2
import pytest
from fastapi import APIRouter, FastAPI, Request
from prometheus_client import CollectorRegistry
from pydantic import BaseModel
from tests.support.apps import ADA, ENDPOINT, app_of, client_of
from tests.support.deadlines import scaled

from funcledger_web.auth import Principal, allow
from funcledger_web.metrics import RequestMetrics

LIMIT = 10_000


class _Numbers(BaseModel):
    numbers: list[int]


def _router() -> APIRouter:
    routes = APIRouter()

    @routes.post("/numbers")
    async def numbers(asked: _Numbers, _who: Annotated[Principal, allow("tasks:write")]) -> int:
        return sum(asked.numbers)

    @routes.post("/bytes")
    async def count(request: Request, _who: Annotated[Principal, allow("tasks:write")]) -> int:
        return len(await request.body())

    return routes


@pytest.fixture
def app() -> FastAPI:
    return app_of(_router(), body_limit=LIMIT)


async def _pieces(size: int, of: int = 1000) -> AsyncIterator[bytes]:
    for _ in range(size // of):
        yield b" " * of


def _slug(response: httpx2.Response) -> str:
    assert response.headers["content-type"] == "application/problem+json"
    document: dict[str, Any] = response.json()
    assert document["status"] == response.status_code
    assert document["title"]
    assert document["detail"]
    return str(document["type"]).removeprefix("urn:funcledger:problem:")


async def test_a_wrong_field_is_named_and_its_value_is_not_repeated(app: FastAPI) -> None:
    async with client_of(app) as client:
        response = await client.post("/numbers", json={"numbers": [1, "hunter2"]})
    assert response.status_code == 422
    assert _slug(response) == "invalid-request"
    assert [error["field"] for error in response.json()["errors"]] == ["numbers.1"]
    assert "hunter2" not in response.text


@pytest.mark.parametrize("body", [b"{", b"", b"[" * 9_000, b"\xff\xfe", b'"text"'])
async def test_a_body_that_is_not_the_json_asked_for_is_a_422(app: FastAPI, body: bytes) -> None:
    async with client_of(app) as client:
        response = await client.post("/numbers", content=body, headers={"Content-Type": "application/json"})
    assert response.status_code == 422
    assert _slug(response) == "invalid-request"


async def test_unknown_paths_and_methods_are_problems(app: FastAPI) -> None:
    async with client_of(app) as client:
        assert _slug(await client.get("/nothing")) == "not-found"
        response = await client.get("/numbers")
    assert _slug(response) == "method-not-allowed"
    assert response.headers["allow"] == "POST"


@pytest.mark.attack(15)
async def test_a_405_names_the_methods_of_every_route_at_the_address() -> None:
    """Not those of the first alone, in whichever router the others are."""
    one, two = APIRouter(), APIRouter(prefix="/things")

    async def nothing(_who: Annotated[Principal, allow(None)]) -> None:
        return

    one.add_api_route("/things/{name}", nothing, methods=["DELETE"])
    two.add_api_route("/{name}", nothing, methods=["PUT"])
    two.add_api_route("/{name}/more", nothing, methods=["POST"])
    async with client_of(app_of(one, two)) as client:
        response = await client.get("/things/a")
    assert response.status_code == 405
    assert response.headers["allow"] == "DELETE, PUT"


@pytest.mark.parametrize("path", ["/bytes", "/numbers"])
@pytest.mark.parametrize("chunked", [True, False])
async def test_a_body_over_the_limit_is_refused_while_it_is_read(
    app: FastAPI, path: str, chunked: bool
) -> None:
    """Also without a Content-Length, and nothing is read beyond the piece that goes over it."""
    read = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal read
        async for piece in _pieces(100 * LIMIT):
            read += len(piece)
            yield piece

    content = endless() if chunked else b" " * (LIMIT + 1)
    async with client_of(app) as client:
        response = await client.post(path, content=content, headers={"Content-Type": "application/json"})
    assert response.status_code == 413
    assert _slug(response) == "body-too-large"
    assert read <= LIMIT + 1000


@pytest.mark.parametrize("size", [LIMIT - 1000, LIMIT])
async def test_a_body_up_to_the_limit_is_taken(app: FastAPI, size: int) -> None:
    async with client_of(app) as client:
        assert (await client.post("/bytes", content=_pieces(size))).json() == size


async def test_a_compressed_body_is_refused_unread(app: FastAPI) -> None:
    """A gzip bomb is never inflated."""
    async with client_of(app) as client:
        response = await client.post("/bytes", content=b"\x1f\x8b", headers={"Content-Encoding": "gzip"})
    assert response.status_code == 415


async def test_a_body_that_drips_in_is_cut_off() -> None:
    """Slow-loris: one byte at a time does not hold a request open; the time allowed grows with what came."""

    async def dripping() -> AsyncIterator[bytes]:
        while True:
            yield b" "
            await asyncio.sleep(0.01)

    async with client_of(app_of(_router(), body_grace=0.1)) as client:
        response = await asyncio.wait_for(client.post("/bytes", content=dripping()), timeout=scaled(5))
    assert response.status_code == 408
    assert _slug(response) == "slow-request"


async def test_a_client_that_leaves_amid_its_body_is_no_error_of_ours(
    app: FastAPI, caplog: pytest.LogCaptureFixture
) -> None:
    """A client that was killed: what it sent is dropped, and the log does not speak of an incident."""
    said: list[MutableMapping[str, Any]] = []
    first: MutableMapping[str, Any] = {"type": "http.request", "body": b"half", "more_body": True}
    coming = iter([first, {"type": "http.disconnect"}])

    async def receive() -> MutableMapping[str, Any]:
        return next(coming)

    async def send(message: MutableMapping[str, Any]) -> None:
        said.append(message)

    headers = [(b"host", b"server"), (b"authorization", f"Bearer {ADA}".encode())]
    scope = {"type": "http", "method": "POST", "path": "/bytes", "query_string": b"", "headers": headers}
    await app(scope, receive, send)
    assert said[0]["status"] == 408
    assert not caplog.records


def test_an_app_refuses_to_start_with_a_route_open_to_nobody_in_particular() -> None:
    """Deny by default: forgetting to say whom a route is for is an error of the programmer, found at once."""
    routes = APIRouter()

    @routes.get("/forgotten")
    async def forgotten() -> int:
        return 1

    with pytest.raises(TypeError, match="forgotten"):
        app_of(routes)


async def test_readiness_names_the_parts_that_are_missing() -> None:
    missing = ["log"]

    async def ready() -> list[str]:
        return missing

    async with client_of(app_of(ready=ready), token=None) as client:
        response = await client.get("/readyz")
        assert (response.status_code, response.json()["missing"]) == (503, ["log"])
        assert (await client.get("/healthz")).status_code == 200
        missing.clear()
        assert (await client.get("/readyz")).status_code == 200


async def test_requests_are_measured_in_the_registry_that_was_passed_in() -> None:
    """By the route's pattern, so that ids in paths make no new series."""
    registry = CollectorRegistry()
    async with client_of(app_of(_router(), metrics=RequestMetrics(registry))) as client:
        await client.post("/numbers", json={"numbers": [1]})
        await client.get("/nothing")
        text = (await client.get("/metrics")).text
    labels = {"method": "POST", "route": "/numbers", "status": "200"}
    assert registry.get_sample_value("funcledger_http_request_seconds_count", labels) == 1
    assert 'route="none",status="404"' in text


async def test_the_description_is_openapi_3_1_with_the_security_scheme_and_problems(app: FastAPI) -> None:
    async with client_of(app, token=ENDPOINT) as client:
        description = (await client.get("/openapi.json")).json()
    assert description["openapi"].startswith("3.1")
    operation = description["paths"]["/numbers"]["post"]
    assert operation["security"] == [{"token": ["tasks:write"]}]
    assert description["components"]["securitySchemes"]["token"]["scheme"] == "bearer"
    assert "application/problem+json" in operation["responses"]["401"]["content"]


async def test_a_token_without_the_scope_is_refused(app: FastAPI) -> None:
    async with client_of(app, token=ENDPOINT) as endpoint, client_of(app, token=ADA) as ada:
        assert (await endpoint.post("/numbers", json={"numbers": []})).status_code == 403
        assert (await ada.post("/numbers", json={"numbers": []})).status_code == 200


@pytest.mark.law(14)
async def test_an_answer_says_which_request_it_is_to_also_where_it_refuses(app: FastAPI) -> None:
    async with client_of(app) as client:
        for path in ("/version", "/nowhere"):
            answer = await client.get(path, headers={"Funcledger-Request": "ada-7"})
            assert answer.headers["Funcledger-Request"] == "ada-7"
        for name in ("", "x" * 65, "a\tb"):
            answer = await client.get("/version", headers={"Funcledger-Request": name})
            assert "Funcledger-Request" not in answer.headers
    async with client_of(app, "nobody") as client:
        answer = await client.get("/version", headers={"Funcledger-Request": "bob-1"})
        assert (answer.status_code, answer.headers["Funcledger-Request"]) == (401, "bob-1")
