"""The bounds on connections, each with a number small enough to be met at once."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Annotated, Any

import pytest
from fastapi import APIRouter, Request
from starlette.responses import Response, StreamingResponse
from tests.support.apps import ADA, app_of
from tests.support.connections import Raw, connected
from tests.support.server import serving

from funcledger_compose.connections import ConnectionLimits
from funcledger_web.auth import Principal, allow

pytestmark = pytest.mark.attack(34)

GET = b"GET /healthz HTTP/1.1\r\nhost: server\r\n\r\n"
Who = Annotated[Principal, allow(None)]
TOKEN = b"authorization: Bearer " + ADA.encode() + b"\r\n"


NO_HTTP = [
    b"\x16\x03\x01\x02\x00\x01",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    b"GET / HTTP/9.9\r\n\r\n",
    b"GET http://server HTTP/1.1\r\n\r\n",
    b"CONNECT server:443 HTTP/1.1\r\n\r\n",
    b"POST / HTTP/1.1\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n",
]


class Lab:
    """A server with a stream that ends when it is told to."""

    def __init__(self) -> None:
        self.done = asyncio.Event()
        self.router = APIRouter()
        self.url = ""
        self.router.add_api_route("/stream", self._stream)
        self.router.add_api_route("/body", self._body, methods=["POST"])

    async def _stream(self, _who: Who) -> Response:
        async def chunks() -> AsyncIterator[bytes]:
            yield b"begun"
            await self.done.wait()

        return StreamingResponse(chunks())

    async def _body(self, request: Request, who: Who) -> dict[str, Any]:
        return {"size": len(await request.body()), "who": who.actor}

    @asynccontextmanager
    async def client(self) -> AsyncIterator[Raw]:
        async with connected(self.url) as raw:
            yield raw


@asynccontextmanager
async def lab(**limits: Any) -> AsyncIterator[Lab]:
    made = Lab()
    async with serving(app_of(made.router), made.done.set, ConnectionLimits(**limits)) as url:
        made.url = url
        yield made


def post(size: int, *more: bytes, path: bytes = b"/body") -> bytes:
    fields = [b"host: server", TOKEN.strip(), b"content-length: %d" % size, *more]
    return b"\r\n".join([b"POST " + path + b" HTTP/1.1", *fields, b"", b""])


async def test_what_is_no_http_is_a_problem_document() -> None:
    async with lab() as server:
        for words in NO_HTTP:
            async with server.client() as raw:
                raw.send(words)
                answer = await raw.answer()
                assert (answer.status, answer.problem) == (400, "malformed-request"), words
                assert answer.headers["connection"] == "close"
                assert await raw.ended() == b""


START = b"GET /healthz HTTP/1.1\r\nhost: server\r\n"
FIELDS = b"".join(b"%d: 1\r\n" % number for number in range(11))


@pytest.mark.parametrize(
    ("head", "status", "problem"),
    [
        (START + b"x: " + b"x" * 2000 + b"\r\n\r\n", 431, "header-too-large"),
        (START + b"x: " + b"x" * 2000, 431, "header-too-large"),
        (START + FIELDS + b"\r\n", 431, "header-too-large"),
        (b"GET /" + b"x" * 600 + b" HTTP/1.1\r\n\r\n", 414, "uri-too-long"),
        (b"GET /" + b"x" * 600, 414, "uri-too-long"),
    ],
    ids=["whole", "half", "fields", "target", "half a target"],
)
@pytest.mark.parametrize("piece", [10_000, 300])
async def test_a_head_over_the_limit_is_refused(head: bytes, status: int, problem: str, piece: int) -> None:
    """Whether its end has come or not, in one piece or in several."""
    async with lab(head=1000, target=500, fields=10) as server, server.client() as raw:
        for start in range(0, len(head), piece):
            raw.send(head[start : start + piece])
            await asyncio.sleep(0.01)
        if piece == 10_000:  # of a first piece nothing is known but that a head is in it
            raw.send(b"y" * 1001 if not head.endswith(b"\n\r\n") else b"")
        answer = await raw.answer()
        assert (answer.status, answer.problem) == (status, problem)


async def test_a_head_up_to_the_limit_is_read_and_the_next_begins_at_nothing() -> None:
    async with lab(head=1000) as server, server.client() as raw:
        head = b"GET /healthz HTTP/1.1\r\nhost: server\r\nx: " + b"x" * 900
        for _ in range(3):
            for at in range(0, len(head), 100):
                raw.send(head[at : at + 100])
                await asyncio.sleep(0.001)
            raw.send(b"\r\n\r\n")
            assert (await raw.answer()).status == 200


async def test_a_head_that_takes_too_long_is_a_408() -> None:
    async with lab(head_time=0.3) as server, server.client() as raw:
        for byte in b"GET /healthz HT":
            raw.send(bytes([byte]))
            await asyncio.sleep(0.1)
        answer = await raw.answer()
        assert (answer.status, answer.problem) == (408, "slow-request")
        assert await raw.ended() == b""


async def test_a_head_is_as_slow_after_a_request_as_before_one() -> None:
    async with lab(head_time=0.3) as server, server.client() as raw:
        raw.send(GET + GET[:10])
        assert (await raw.answer()).status == 200
        assert (await raw.answer()).status == 408


@pytest.mark.parametrize("words", [b"", b"\r\n", GET, GET + b"\r\n"])
async def test_a_connection_without_a_request_ends(words: bytes) -> None:
    """Also one that is kept busy with empty lines, which begin no request."""
    async with lab(head_time=0.3, idle_time=0.3) as server, server.client() as raw:
        raw.send(words)
        if words.startswith(GET):
            assert (await raw.answer()).status == 200
        ending = asyncio.create_task(raw.ended(5.0))
        while not ending.done():
            raw.send(b"\r\n" if words else b"")
            await asyncio.sleep(0.05)
        assert ending.result() == b""


async def test_a_stream_is_not_idle() -> None:
    async with lab(head_time=0.2, idle_time=0.2, rest_time=0.2) as server, server.client() as raw:
        raw.send(b"GET /stream HTTP/1.1\r\nhost: server\r\n" + TOKEN + b"\r\n")
        assert (await raw.answer()).status == 200
        ending = asyncio.create_task(raw.ended(5.0))
        _, pending = await asyncio.wait([ending], timeout=1.5)
        assert pending, "it was cut"
        server.done.set()
        assert (await ending).endswith(b"0\r\n\r\n")


async def test_requests_that_wait_are_answered_up_to_the_limit_and_the_next_is_refused() -> None:
    async with lab(pipelined=3) as server, server.client() as raw:
        raw.send(GET * 1000)
        assert [(await raw.answer()).status for _ in range(4)] == [200] * 4
        answer = await raw.answer()
        assert (answer.status, answer.problem) == (429, "too-many-requests")
        assert await raw.ended() == b""


async def test_heads_that_wait_are_bounded_in_bytes_too() -> None:
    async with lab(head=1000, pipelined=10) as server, server.client() as raw:
        raw.send((GET[:-2] + b"x: " + b"x" * 800 + b"\r\n\r\n") * 5)
        assert [(await raw.answer()).status for _ in range(4)] == [200, 200, 200, 429]


async def test_a_refusal_comes_after_the_answers_that_are_owed() -> None:
    async with lab() as server, server.client() as raw:
        raw.send(b"GET /stream HTTP/1.1\r\nhost: server\r\n" + TOKEN + b"\r\nnonsense\r\n\r\n")
        assert (await raw.answer()).status == 200
        server.done.set()
        rest = await raw.ended()
        assert rest.index(b"0\r\n\r\nHTTP/1.1 400 Bad Request") > 0


async def test_a_body_that_is_broken_off_by_nonsense_is_a_400() -> None:
    async with lab() as server, server.client() as raw:
        raw.send(post(0).replace(b"content-length: 0", b"transfer-encoding: chunked"))
        raw.send(b"5\r\nhello\r\nno size\r\n")
        answer = await raw.answer()
        assert (answer.status, answer.problem) == (400, "malformed-request")


async def test_what_stands_after_the_chunks_is_bounded() -> None:
    """Trailers without end, which a parser would gather."""
    async with lab(head=1000) as server, server.client() as raw:
        raw.send(post(0).replace(b"content-length: 0", b"transfer-encoding: chunked") + b"0\r\n")
        for _ in range(4):
            raw.send(b"x: " + b"x" * 400 + b"\r\n")
            await asyncio.sleep(0.02)
        assert (await raw.answer()).status == 431


async def test_the_rest_of_a_request_that_was_answered_may_not_take_for_ever() -> None:
    async with lab(rest_time=0.3) as server, server.client() as raw:
        raw.send(post(1000).replace(TOKEN, b""))
        assert (await raw.answer()).status == 401
        ending = asyncio.create_task(raw.ended(5.0))
        while not ending.done():
            raw.send(b"x")
            await asyncio.sleep(0.05)
        assert ending.result() == b""


async def test_the_rest_of_a_request_that_was_answered_is_passed_over() -> None:
    async with lab() as server, server.client() as raw:
        raw.send(post(1000).replace(TOKEN, b""))
        assert (await raw.answer()).status == 401
        raw.send(b"x" * 1000 + GET)
        assert (await raw.answer()).status == 200


async def test_what_is_asked_along_with_another_protocol_is_answered_in_this_one() -> None:
    """Also what came in the same piece."""
    async with lab() as server, server.client() as raw:
        asked = b"connection: upgrade, HTTP2-Settings\r\nupgrade: h2c\r\n"
        raw.send(GET[:-2] + asked + b"content-length: 0\r\n\r\n" + GET)
        assert [(await raw.answer()).status for _ in range(2)] == [200, 200]
        raw.send(post(5, asked.strip()) + b"hello")  # the parser would take the body for a request
        answer = await raw.answer()
        assert (answer.status, answer.problem) == (400, "malformed-request")
        assert b"Upgrade" in answer.body


async def test_a_new_connection_takes_the_place_of_one_that_waits() -> None:
    """From one address: the one that has waited longest for a head goes first, a known one last."""
    async with lab(per_address=3) as server, AsyncExitStack() as stack:
        known, half, fresh = [await stack.enter_async_context(server.client()) for _ in range(3)]
        known.send(post(0))
        assert (await known.answer()).status == 200
        half.send(GET[:10])
        fresh.send(GET[:10])
        await asyncio.sleep(0.05)
        last = await stack.enter_async_context(server.client())
        last.send(GET)
        assert (await last.answer()).status == 200
        answer = await half.answer()
        assert (answer.status, answer.problem) == (503, "too-many-connections")
        fresh.send(GET[10:])
        assert (await fresh.answer()).status == 200
        known.send(post(0))
        assert (await known.answer()).status == 200


async def test_no_stream_gives_way_to_a_new_connection() -> None:
    async with lab(connections=2) as server, AsyncExitStack() as stack:
        streams = [await stack.enter_async_context(server.client()) for _ in range(2)]
        for stream in streams:
            stream.send(b"GET /stream HTTP/1.1\r\nhost: server\r\n" + TOKEN + b"\r\n")
            assert (await stream.answer()).status == 200
        async with server.client() as refused:
            answer = await refused.answer()
            assert (answer.status, answer.problem) == (503, "too-many-connections")
            assert answer.headers["retry-after"] == "1"
        server.done.set()
        for stream in streams:
            await stream.until(b"\r\n0\r\n\r\n")
        async with server.client() as raw:
            raw.send(GET)
            assert (await raw.answer()).status == 200


async def test_a_stream_does_not_give_way_to_other_heads_that_have_begun() -> None:
    """Also where its connection has sent half of another head after it."""
    async with lab(heads=2000) as server, AsyncExitStack() as stack:
        stream, *halves = [await stack.enter_async_context(server.client()) for _ in range(4)]
        stream.send(b"GET /stream HTTP/1.1\r\nhost: server\r\n" + TOKEN + b"\r\n" + START)
        assert (await stream.answer()).status == 200
        for half in halves:
            half.send(START + b"x: " + b"x" * 900)
            await asyncio.sleep(0.05)
        assert (await halves[0].answer()).problem == "too-many-connections"
        server.done.set()
        assert await stream.until(b"\r\n0\r\n\r\n") == b"5\r\nbegun\r\n0\r\n\r\n"
        stream.send(b"\r\n")
        assert (await stream.answer()).status == 200


async def test_heads_that_have_begun_are_bounded_together() -> None:
    async with lab(heads=2000) as server, AsyncExitStack() as stack:
        halves = [await stack.enter_async_context(server.client()) for _ in range(3)]
        for half in halves:
            half.send(GET[:-2] + b"x: " + b"x" * 800)
            await asyncio.sleep(0.05)
        assert (await halves[0].answer()).problem == "too-many-connections"
        for half in halves[1:]:
            half.send(b"\r\n\r\n")
            assert (await half.answer()).status == 200
