"""HTTP/1.1 straight to a server, for httpx2's client to stand on where there is neither TLS nor a proxy.

It costs less than httpx2's own transport, which a single task there and back feels: see docs/decisions/0007.
"""

import os
import socket
from collections.abc import Iterator, Sequence
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from typing import Any
from urllib.request import getproxies
from weakref import WeakSet

import httpx2

from funcledger_schemas import local_socket

_CHUNK = 256 * 1024
#: A body up to so many bytes goes out with its head in one piece.
_SMALL = 32 * 1024
#: Idle connections kept for the next request.
_MOST_IDLE = 8


def is_direct(url: str, *, here: bool) -> bool:
    """Whether the server is reached without TLS and without a proxy."""
    return url.startswith("http:") and (here or not getproxies().keys() & {"http", "all"})


class PlainTransport(httpx2.BaseTransport):
    """Connections to one server, kept open between requests; safe to use from several threads."""

    def __init__(self, url: str, socket_path: Path | None = None) -> None:
        """It is reached at ``socket_path``, where there is one, and nowhere else."""
        address = httpx2.URL(url)
        self._address = (address.host, address.port or 80)
        self._socket_path = socket_path
        self._idle: list[socket.socket] = []
        #: All that are open, also those that are being used.
        self._open: WeakSet[socket.socket] = WeakSet()
        self._closed = False

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send it and read the answer's head.

        Raises:
            httpx2.TransportError: the server cannot be reached, or the connection failed.
        """
        timeout = request.extensions.get("timeout", {})
        head, body = _head(request), request.read()
        message = [head + body] if len(body) <= _SMALL else [head, body]
        # A kept connection may end while the request is on its way: then a new one gets it. Whatever the
        # SDK sends may be sent twice.
        if (kept := self._take_idle()) is not None:
            try:
                return self._exchange(kept, message, request.method, timeout)
            except httpx2.NetworkError:
                pass
        return self._exchange(self._connect(timeout), message, request.method, timeout)

    def close(self) -> None:
        """Close the idle connections; others close when their answers have been read."""
        self._closed = True
        while self._idle:
            self._idle.pop().close()

    def leave_to_parent(self) -> None:
        """In a forked child: every connection is the parent's, which only closes them if the child does."""
        self._closed = True
        self._idle.clear()
        for connection in list(self._open):
            if (descriptor := connection.detach()) >= 0:
                os.close(descriptor)

    def _take_idle(self) -> socket.socket | None:
        while self._idle:
            try:
                connection = self._idle.pop()
            except IndexError:  # another thread was quicker
                return None
            if _is_alive(connection):
                return connection
            connection.close()
        return None

    def _connect(self, timeout: dict[str, Any]) -> socket.socket:
        try:
            connection = self._connected(timeout.get("connect"))
        except TimeoutError as error:
            raise httpx2.ConnectTimeout(str(error)) from error
        except OSError as error:
            raise httpx2.ConnectError(error.strerror or str(error)) from error
        self._open.add(connection)
        return connection

    def _connected(self, seconds: float | None) -> socket.socket:
        if self._socket_path is not None:
            return local_socket.connect(self._socket_path, seconds)
        connection = socket.create_connection(self._address, seconds)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connection

    def _exchange(
        self, connection: socket.socket, message: Sequence[bytes], method: str, timeout: dict[str, Any]
    ) -> httpx2.Response:
        answer = HTTPResponse(connection, method=method)
        try:
            connection.settimeout(timeout.get("read"))
            for piece in message:
                connection.sendall(piece)
            answer.begin()
        except BaseException as error:  # Ctrl-C, too: what comes on this connection is nobody's any more
            answer.close()
            connection.close()
            if isinstance(error, OSError | HTTPException):
                raise _translated(error) from error
            raise
        body = _Body(self, connection, answer)
        return httpx2.Response(answer.status, headers=answer.getheaders(), stream=body, extensions={
            "network_stream": _Network(connection)
        })  # fmt: skip

    def give_back(self, connection: socket.socket, *, usable: bool) -> None:
        """An answer has been read, or given up."""
        if usable and not self._closed and len(self._idle) < _MOST_IDLE:
            self._idle.append(connection)
        else:
            connection.close()


class _Body(httpx2.SyncByteStream):
    """The body of one answer, as it arrives."""

    def __init__(self, transport: PlainTransport, connection: socket.socket, answer: HTTPResponse) -> None:
        self._transport, self._connection, self._answer = transport, connection, answer

    def __iter__(self) -> Iterator[bytes]:
        try:
            if not self._answer.chunked and self._answer.length is not None:
                yield self._answer.read()
            while piece := self._answer.read1(_CHUNK):
                yield piece
        except (OSError, HTTPException, ValueError) as error:
            raise _translated(error) from error

    def close(self) -> None:
        """Keep the connection if all was read, else end it."""
        usable = self._answer.isclosed() and not self._answer.will_close
        self._answer.close()
        self._transport.give_back(self._connection, usable=usable)


class _Network:
    """Gives the socket to who must interrupt a stream, as httpx2's own transport does."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection

    def get_extra_info(self, info: str) -> socket.socket | None:
        """The socket under this name."""
        return self._connection if info == "socket" else None


def _head(request: httpx2.Request) -> bytes:
    lines = [b"%s %s HTTP/1.1" % (request.method.encode(), request.url.raw_path)]
    lines += [b"%s: %s" % (name, value) for name, value in request.headers.raw]
    if any(b"\n" in line or b"\r" in line for line in lines):
        raise httpx2.LocalProtocolError("a header holds a line break")
    return b"\r\n".join((*lines, b"", b""))


def _is_alive(connection: socket.socket) -> bool:
    """Whether nothing has come on an idle connection: what comes there is its end."""
    try:
        connection.setblocking(False)
        connection.recv(1, socket.MSG_PEEK)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def _translated(error: Exception) -> httpx2.TransportError:
    text = str(error) or type(error).__name__
    if isinstance(error, TimeoutError):
        return httpx2.ReadTimeout(text)
    return httpx2.ReadError(text)
