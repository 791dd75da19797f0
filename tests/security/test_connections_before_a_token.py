"""ATTACKS 34 and 37, against the server's own process: what costs it nothing, and keeps nobody else out.

Its memory is looked at from outside; meanwhile others ask, and are answered soon.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager

import pytest
from tests.support.connections import Raw, connected, memory
from tests.support.standalone import Standalone, standalone

from funcledger_compose.connections import ConnectionLimits
from funcledger_schemas.limits import BODIES_PER_PRINCIPAL, BODY_LIMIT

pytestmark = pytest.mark.attack(34)

MIB = 1024**2
LIMITS = ConnectionLimits()
GET = b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n"
#: Seconds in which anybody else is answered, on a machine that has other things to do as well.
SOON = 2.0


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Standalone]:
    with standalone(tmp_path_factory.mktemp("up") / "data", "--no-endpoint") as running:
        with running.client() as client:
            client.transport.request("GET", "/version")
        yield running


@asynccontextmanager
async def others(server: Standalone) -> AsyncIterator[list[float]]:
    """Somebody who asks all the time, with a new connection each time: how long each answer took."""
    waited: list[float] = []

    async def ask() -> None:
        while True:
            begun = time.monotonic()
            async with connected(server.url) as raw:
                raw.send(GET)
                assert (await raw.answer()).status == 200
            waited.append(time.monotonic() - begun)
            await asyncio.sleep(0.02)

    asking = asyncio.create_task(ask())
    try:
        yield waited
    finally:
        asking.cancel()
        for error in await asyncio.gather(asking, return_exceptions=True):
            assert isinstance(error, asyncio.CancelledError), error
        assert waited
        assert max(waited) < SOON


async def test_pipelined_requests_whose_answers_nobody_reads(server: Standalone) -> None:
    """Five rounds of 100,000: none of their memory stays, nor is much of it taken."""
    before, most = memory(server.pid), 0
    async with others(server):
        for _ in range(5):
            async with connected(server.url) as raw:
                await asyncio.wait_for(raw.send_all(GET * 100_000), 20.0)
                most = max(most, memory(server.pid))
                statuses = [(await raw.answer()).status for _ in range(LIMITS.pipelined + 2)]
                assert statuses == [200] * (LIMITS.pipelined + 1) + [429]
    assert most - before < 32 * MIB
    assert memory(server.pid) - before < 32 * MIB


async def test_a_header_line_without_end(server: Standalone) -> None:
    """200 MB of it: refused as soon as it is over the limit, and the rest is thrown away."""
    before, most = memory(server.pid), 0
    async with others(server), connected(server.url) as raw:
        raw.send(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\nx: ")
        for _ in range(200):
            await asyncio.wait_for(raw.send_all(b"x" * MIB), 20.0)
            most = max(most, memory(server.pid))
        answer = await raw.answer()
    assert (answer.status, answer.problem) == (431, "header-too-large")
    assert most - before < 16 * MIB


@pytest.mark.parametrize(
    ("head", "status", "problem"),
    [
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400, "malformed-request"),
        (b"GET /" + b"x" * (LIMITS.target + 1) + b" HTTP/1.1\r\n\r\n", 414, "uri-too-long"),
        (b"GET / HTTP/1.1\r\n" + b"x: y\r\n" * (LIMITS.fields + 1) + b"\r\n", 431, "header-too-large"),
    ],
)
async def test_what_cannot_be_a_request_is_told_so(
    server: Standalone, head: bytes, status: int, problem: str
) -> None:
    async with connected(server.url) as raw:
        raw.send(head)
        answer = await raw.answer()
        assert (answer.status, answer.problem) == (status, problem)
        assert await raw.ended() == b""


@pytest.mark.parametrize("begun", [b"", GET[:20], GET[:-2] + b"x: " + b"x" * 50_000])
async def test_connections_with_nothing_or_half_a_head(server: Standalone, begun: bytes) -> None:
    """1,500 from one address, more than it may have: the oldest give way, and everybody is served."""
    before = memory(server.pid)
    async with AsyncExitStack() as stack, others(server):
        made: list[Raw] = []
        for _ in range(1500):
            made.append(await stack.enter_async_context(connected(server.url)))
            made[-1].send(begun)
        assert memory(server.pid) - before < LIMITS.heads + 48 * MIB
        assert b"too-many-connections" in await made[0].ended() or not begun
        made[-1].send(GET[len(begun) :] if len(begun) < len(GET) else b"\r\n\r\n")
        assert (await made[-1].answer()).status == 200


@pytest.mark.attack(37)
async def test_unfinished_bodies_are_bounded_and_refused_before_they_are_read(server: Standalone) -> None:
    """Twenty of 30 MB from one user, almost complete: as many as fit are read, the others told to wait."""
    with server.client() as client:
        token = client.transport._headers["Authorization"]
    size, most = 30 * 1000 * 1000, 0
    fields = f"authorization: {token}\r\ncontent-type: application/json\r\ncontent-length: {size}\r\n\r\n"
    head = b"POST /v1/tasks HTTP/1.1\r\nhost: localhost\r\n" + fields.encode()
    before = memory(server.pid)
    fit = BODIES_PER_PRINCIPAL // size
    async with AsyncExitStack() as stack, others(server):
        made = [await stack.enter_async_context(connected(server.url)) for _ in range(20)]
        for raw in made:
            raw.send(head)
            await asyncio.wait_for(raw.send_all(b" " * (size - 1)), 20.0)
            most = max(most, memory(server.pid))
        for raw in made[fit:]:
            answer = await raw.answer()
            assert (answer.status, answer.problem) == (429, "too-many-requests")
            assert answer.headers["retry-after"] == "1"
        assert most - before < BODIES_PER_PRINCIPAL + 48 * MIB
        made[0].send(b" ")
        assert (await made[0].answer()).status == 422
        async with connected(server.url) as raw:  # there is room again
            raw.send(head + b" " * size)
            assert (await raw.answer()).status == 422


def _everything_seen(partitions: int) -> str:
    """What an SDK has seen of so many partitions, with the largest offsets there can be."""
    last = 2**63 - 1
    moving = ("tasks", "results", "heartbeats")
    return ",".join(
        [f"{topic}:{number}:{last}" for topic in moving for number in range(partitions)]
        + [f"functions:0:{last}", f"endpoints:0:{last}"]
    )


def test_the_sdk_is_understood_at_a_thousand_partitions(server: Standalone) -> None:
    """Its largest head: all it has seen, and where its stream goes on."""
    last = 2**63 - 1
    token = _everything_seen(1000)
    base = ",".join(f"results:{number}:{last - 10}" for number in range(1000))
    spans = ";".join(f"{number}:{last - 5}-{last}" for number in range(1000))
    with server.client() as client:
        transport = client.transport
        transport.seen.merge(token)
        assert len(transport.seen.token) == len(token)
        assert transport.request("GET", "/version").status_code == 200
        batch = "019f0000-0000-7000-8000-000000000001"
        sent = {"batch_ids": [batch], "after": f"{base};{spans}"}
        stream = transport.stream("POST", "/v1/results/stream", sent)
        answer = transport._connections().send(stream._request, stream=True)
        assert answer.status_code == 200
        answer.close()
    assert len(token) + len(base) + len(spans) < LIMITS.head


def test_a_body_that_one_request_may_have_fits_twice() -> None:
    assert BODIES_PER_PRINCIPAL >= 2 * BODY_LIMIT
