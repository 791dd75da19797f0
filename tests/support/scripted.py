"""A tiny HTTP server that answers as a test tells it to: for what becomes of connections."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any


@dataclass
class Asked:
    """A request that came in."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    peer: str


@dataclass
class Reply:
    """What to answer; ``drop`` closes the connection instead, after the request was read.

    ``pieces`` are sent as chunks; with ``cut`` the connection then closes without the last chunk.
    ``hang_up`` closes the connection after the answer without having said so.
    """

    status: int = 200
    body: bytes = b"{}"
    headers: dict[str, str] = field(default_factory=dict)
    drop: bool = False
    pieces: list[bytes] | None = None
    cut: bool = False
    hang_up: bool = False


class Scripted:
    """The server's address and what it was asked."""

    def __init__(self, answer: Callable[[Asked, int], Reply]) -> None:
        self.answer = answer
        self.asked: list[Asked] = []
        self.url = ""


@contextmanager
def scripted(answer: Callable[[Asked, int], Reply]) -> Iterator[Scripted]:
    """Serve ``answer(request, number of the request)`` on a port of its own."""
    script = Scripted(answer)
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(script))
    server.daemon_threads = True
    script.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield script
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _handler(script: Scripted) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _serve(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            asked = Asked(self.command, self.path, dict(self.headers), body, f"{self.client_address}")
            script.asked.append(asked)
            reply = script.answer(asked, len(script.asked) - 1)
            if reply.drop:
                self.close_connection = True
                return
            self.send_response(reply.status)
            for name, value in reply.headers.items():
                self.send_header(name, value)
            self._send(reply)
            self.close_connection = self.close_connection or reply.hang_up

        def _send(self, reply: Reply) -> None:
            if reply.pieces is None:
                self.send_header("Content-Length", str(len(reply.body)))
                self.end_headers()
                self.wfile.write(reply.body)
                return
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            for piece in reply.pieces:
                self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
            if reply.cut:
                self.close_connection = True
            else:
                self.wfile.write(b"0\r\n\r\n")

        do_GET = do_POST = do_PUT = do_DELETE = _serve  # noqa: N815  # names of the standard library

        def log_message(self, *_: Any) -> None:
            pass

    return Handler
