"""HTTP/1.1 straight to a server, for httpx2's asynchronous client: where there is neither TLS nor a proxy.

It costs less than httpx2's own transport, which a single task there and back feels: see docs/decisions/0007.
"""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.request import getproxies, proxy_bypass

import httptools
import httpx2

from funcledger_schemas import local_socket

_READ = 256 * 1024
#: A body up to so many bytes goes out with its head in one piece.
_SMALL = 32 * 1024
#: Bytes that may wait to be read before the server is held back.
_BUFFER = 1024 * 1024


def is_direct(url: str) -> bool:
    """Whether the server is reached without TLS and without a proxy."""
    proxied = getproxies().keys() & {"http", "all"} and not proxy_bypass(httpx2.URL(url).host)
    return url.startswith("http:") and not proxied


def way_to(url: str, socket_path: Path | None = None) -> "PlainTransport | None":
    """The transport to a server; None where httpx2's own is to be taken.

    With ``socket_path`` the server is reached there and nowhere else; ``url`` only names it.
    """
    direct = socket_path is not None or is_direct(url)
    return PlainTransport(url, socket_path) if direct else None


class PlainTransport(httpx2.AsyncBaseTransport):
    """Connections to one server, kept open between requests; one event loop's."""

    def __init__(self, url: str, socket_path: Path | None = None) -> None:
        address = httpx2.URL(url)
        self._address = (address.host, address.port or 80)
        self._socket_path = socket_path
        self._idle: list[_Connection] = []

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send it and read the answer's head.

        Raises:
            httpx2.TransportError: the server cannot be reached, or the connection failed.
        """
        timeout = request.extensions.get("timeout", {})
        connection = self._kept() or await self._connect(timeout.get("connect"))
        try:
            connection.send(_head(request), await request.aread())
            answer = await connection.answer(timeout.get("read"))
        except BaseException:
            connection.close()
            raise
        body = _Body(connection, answer, timeout.get("read"), self._idle)
        extensions = {"network_stream": connection}
        return httpx2.Response(answer.status, headers=answer.headers, stream=body, extensions=extensions)

    async def aclose(self) -> None:
        """Close the idle connections; others close when their answers have been read."""
        while self._idle:
            self._idle.pop().close()

    def _kept(self) -> "_Connection | None":
        while self._idle:
            connection = self._idle.pop()
            if connection.alive:
                return connection
            connection.close()
        return None

    async def _connect(self, seconds: float | None) -> "_Connection":
        try:
            async with asyncio.timeout(seconds):
                return _Connection(*await self._opened())
        except TimeoutError as error:
            raise httpx2.ConnectTimeout("no connection in time") from error
        except OSError as error:
            raise httpx2.ConnectError(error.strerror or str(error)) from error

    async def _opened(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if self._socket_path is None:
            return await asyncio.open_connection(*self._address, limit=_BUFFER)
        connection = local_socket.connect(self._socket_path, 0)
        return await asyncio.open_unix_connection(sock=connection, limit=_BUFFER)


class _Answer:
    """One answer while it is read; the parser calls it."""

    def __init__(self) -> None:
        self.status = 0
        self.headers: list[tuple[bytes, bytes]] = []
        self.begun = self.ended = False
        #: Whether its connection may carry the next request.
        self.reusable = False
        self.pieces: list[bytes] = []
        self._parser = httptools.HttpResponseParser(self)

    def feed(self, data: bytes) -> None:
        """More of it."""
        self._parser.feed_data(data)

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers.append((name, value))

    def on_headers_complete(self) -> None:
        self.status = self._parser.get_status_code()
        self.begun = self.status >= 200  # one that only says to go on is not the answer
        if not self.begun:
            self.headers.clear()

    def on_body(self, data: bytes) -> None:
        self.pieces.append(data)

    def on_message_complete(self) -> None:
        self.ended = self.begun
        self.reusable = self.ended and bool(self._parser.should_keep_alive())  # afterwards it says no


class _Connection:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    @property
    def alive(self) -> bool:
        """Whether the server has not ended it."""
        return not (self._reader.at_eof() or self._writer.is_closing())

    def send(self, head: bytes, body: bytes) -> None:
        """Begin to send; the answer tells when it has arrived."""
        if len(body) <= _SMALL:
            self._writer.write(head + body)
        else:
            self._writer.write(head)
            self._writer.write(body)

    async def answer(self, seconds: float | None) -> _Answer:
        """The answer to what was sent, read as far as its head."""
        answer = _Answer()
        while not answer.begun:
            await self.read(answer, seconds)
        return answer

    async def read(self, answer: _Answer, seconds: float | None) -> None:
        """Read more of an answer.

        Raises:
            httpx2.TransportError: nothing came in time, the connection ended, or it is not HTTP.
        """
        try:
            async with asyncio.timeout(seconds):
                data = await self._reader.read(_READ)
            if not data:
                raise httpx2.RemoteProtocolError("the connection ended before the answer did")
            answer.feed(data)
        except TimeoutError as error:
            raise httpx2.ReadTimeout("no answer in time") from error
        except (OSError, httptools.HttpParserError) as error:
            raise httpx2.ReadError(str(error) or type(error).__name__) from error

    def close(self) -> None:
        """End it."""
        self._writer.close()

    async def aclose(self) -> None:
        """As httpx2's own connections have it."""
        self.close()


class _Body(httpx2.AsyncByteStream):
    """The body of one answer, as it arrives."""

    def __init__(
        self, connection: _Connection, answer: _Answer, seconds: float | None, idle: list[_Connection]
    ) -> None:
        self._connection, self._answer, self._seconds, self._idle = connection, answer, seconds, idle
        self._closed = False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        answer = self._answer
        while True:
            if answer.pieces:
                pieces, answer.pieces = answer.pieces, []
                yield pieces[0] if len(pieces) == 1 else b"".join(pieces)
            elif answer.ended:
                return
            else:
                await self._connection.read(answer, self._seconds)

    async def aclose(self) -> None:
        """Keep the connection if all was read, else end it."""
        if not self._closed:
            self._closed = True
            if self._answer.reusable and not self._answer.pieces:
                self._idle.append(self._connection)
            else:
                self._connection.close()


def _head(request: httpx2.Request) -> bytes:
    lines = [b"%s %s HTTP/1.1" % (request.method.encode(), request.url.raw_path)]
    lines += [b"%s: %s" % (name, value) for name, value in request.headers.raw]
    if any(b"\n" in line or b"\r" in line for line in lines):
        raise httpx2.LocalProtocolError("a header holds a line break")
    return b"\r\n".join((*lines, b"", b""))
