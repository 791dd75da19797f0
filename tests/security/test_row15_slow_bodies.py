"""ATTACKS 15, through a real server: slow and endless bodies are cut off and their connections closed."""

import asyncio
from collections.abc import AsyncIterator
from urllib.parse import urlsplit

import pytest
from tests.support.apps import ADA, app_of
from tests.support.commands import Side, command_side
from tests.support.deadlines import scaled
from tests.support.server import serving

from funcledger_command_api.api import routers


@pytest.fixture
async def side() -> AsyncIterator[Side]:
    async with command_side() as running:
        yield running


async def _answer(address: str, head: str, pieces: list[bytes], token: str = ADA) -> bytes:
    """What a server says, until it closes the connection, to a request sent by hand."""
    url = urlsplit(address)
    reader, writer = await asyncio.open_connection(url.hostname, url.port)
    start = f"POST /v1/tasks HTTP/1.1\r\nHost: server\r\nAuthorization: Bearer {token}\r\n"
    writer.write((start + "Content-Type: application/vnd.funcledger.frame\r\n" + head + "\r\n").encode())
    try:
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
        async with asyncio.timeout(scaled(10)):
            return await reader.read()
    except ConnectionResetError:
        return await reader.read()
    finally:
        writer.close()


async def test_a_body_that_never_comes_is_a_408_and_the_connection_closes(side: Side) -> None:
    app = app_of(*routers(side.log, side.catalogue, side.tail), body_grace=0.2)
    async with serving(app) as address:
        answer = await _answer(address, "Content-Length: 1000\r\n", [b"some"])
    assert answer.startswith(b"HTTP/1.1 408")
    assert b"urn:funcledger:problem:slow-request" in answer


async def test_a_chunked_body_over_the_cap_is_a_413_and_the_connection_closes(side: Side) -> None:
    app = app_of(*routers(side.log, side.catalogue, side.tail), body_limit=100_000)
    async with serving(app) as address:
        chunks = [b"2710\r\n" + b"x" * 10_000 + b"\r\n"] * 11
        answer = await _answer(address, "Transfer-Encoding: chunked\r\n", chunks)
    assert answer.startswith(b"HTTP/1.1 413")
    assert b"urn:funcledger:problem:body-too-large" in answer


async def test_a_body_announced_over_the_cap_is_refused_before_it_is_sent(side: Side) -> None:
    async with serving(app_of(*routers(side.log, side.catalogue, side.tail))) as address:
        answer = await _answer(address, f"Content-Length: {10**15}\r\n", [])
    assert answer.startswith(b"HTTP/1.1 413")
