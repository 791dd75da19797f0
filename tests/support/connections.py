"""Connections by hand, as no client of ours would use them, and the memory of the server they lead to."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import psutil


@dataclass(slots=True, frozen=True)
class Answer:
    """One answer as it came."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def problem(self) -> str:
        """The slug of the problem document that it is."""
        assert self.headers["content-type"] == "application/problem+json", self
        document: dict[str, Any] = json.loads(self.body)
        assert document["status"] == self.status
        assert document["detail"]
        return str(document["type"]).removeprefix("urn:funcledger:problem:")


class Raw:
    """One connection to a server."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    def send(self, data: bytes) -> None:
        """Hand it to the socket, and do not wait."""
        self._writer.write(data)

    async def send_all(self, data: bytes) -> None:
        """Return when the socket has taken most of it, or the server has enough of it."""
        self.send(data)
        try:
            await self._writer.drain()
        except ConnectionError:
            return

    async def answer(self, timeout: float = 10.0) -> Answer:
        """The next answer."""
        async with asyncio.timeout(timeout):
            head = (await self._reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
            headers = dict(line.lower().split(": ", 1) for line in head[1:] if line)
            body = await self._reader.readexactly(int(headers.get("content-length", 0)))
        return Answer(int(head[0].split()[1]), headers, body)

    async def until(self, words: bytes, timeout: float = 10.0) -> bytes:
        """What comes up to these words, and them."""
        async with asyncio.timeout(timeout):
            return await self._reader.readuntil(words)

    async def ended(self, timeout: float = 10.0) -> bytes:
        """What comes until the server ends the connection."""
        async with asyncio.timeout(timeout):
            try:
                return await self._reader.read()
            except ConnectionError:
                return b""

    def close(self) -> None:
        """End it."""
        self._writer.transport.abort()


@asynccontextmanager
async def connected(url: str) -> AsyncIterator[Raw]:
    """A connection to the server at this address."""
    where = urlsplit(url)
    raw = Raw(*await asyncio.open_connection(where.hostname, where.port))
    try:
        yield raw
    finally:
        raw.close()


def memory(pid: int) -> int:
    """Bytes of memory that are the process's own."""
    return int(psutil.Process(pid).memory_info().rss)
