"""How much of requests' bodies a server holds: for each principal, for all, until their answers begin."""

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated, Any

import httpx2
import pytest
from fastapi import APIRouter, FastAPI, Request
from tests.support.apps import ADA, BOB, app_of, client_of
from tests.support.poll import until

from funcledger_web.auth import Principal, allow
from funcledger_web.limits import HeldBodies

pytestmark = pytest.mark.attack(37)

KB = 1000


@pytest.fixture
def bodies() -> HeldBodies:
    return HeldBodies(each=10 * KB, most=15 * KB)


@pytest.fixture
def app(bodies: HeldBodies) -> FastAPI:
    router = APIRouter()

    @router.post("/bytes")
    async def take(request: Request, _who: Annotated[Principal, allow(None)]) -> int:
        return len(await request.body())

    return app_of(router, bodies=bodies)


def sending(client: httpx2.AsyncClient, size: int, end: asyncio.Event, *, chunked: bool) -> Any:
    """A request whose body lacks one byte until the end is let come."""

    async def pieces() -> AsyncIterator[bytes]:
        yield b"x" * (size - 1)
        await end.wait()
        yield b"x"

    headers = {} if chunked else {"Content-Length": str(size)}
    return asyncio.create_task(client.post("/bytes", content=pieces(), headers=headers))


@pytest.mark.parametrize("chunked", [False, True], ids=["announced", "chunked"])
async def test_what_is_unfinished_counts_against_its_sender_and_then_no_more(
    app: FastAPI, bodies: HeldBodies, chunked: bool
) -> None:
    end = asyncio.Event()
    async with client_of(app) as ada, client_of(app, BOB) as bob:
        first = sending(ada, 8 * KB, end, chunked=chunked)
        await until(lambda: bodies.held >= 8 * KB - 1)
        refused = await ada.post("/bytes", content=b"x" * 3 * KB)
        assert refused.status_code == 429
        assert refused.json()["type"].endswith("too-many-requests")
        assert refused.headers["retry-after"] == "1"
        assert (await bob.post("/bytes", content=b"x" * 3 * KB)).json() == 3 * KB
        end.set()
        assert (await first).json() == 8 * KB
        assert bodies.held == 0
        assert (await ada.post("/bytes", content=b"x" * 10 * KB)).json() == 10 * KB


async def test_what_all_have_together_is_bounded_too(app: FastAPI, bodies: HeldBodies) -> None:
    end = asyncio.Event()
    async with client_of(app) as ada, client_of(app, BOB) as bob:
        first = sending(ada, 8 * KB, end, chunked=False)
        await until(lambda: bodies.held == 8 * KB)
        refused = await bob.post("/bytes", content=b"x" * 8 * KB)
        assert refused.status_code == 503
        assert refused.json()["type"].endswith("busy")
        end.set()
        await first
        assert (await bob.post("/bytes", content=b"x" * 8 * KB)).json() == 8 * KB


async def test_a_sender_that_leaves_holds_nothing(bodies: HeldBodies, app: FastAPI) -> None:
    coming: list[dict[str, Any]] = [
        {"type": "http.request", "body": b"x" * 5 * KB, "more_body": True},
        {"type": "http.disconnect"},
    ]

    async def receive() -> dict[str, Any]:
        return coming.pop(0)

    async def send(_message: Any) -> None:
        return

    headers = [(b"host", b"server"), (b"authorization", f"Bearer {ADA}".encode())]
    scope = {"type": "http", "method": "POST", "path": "/bytes", "query_string": b"", "headers": headers}
    await app(scope, receive, send)
    assert bodies.held == 0
