"""A small TCP proxy that loses answers: the server has done what it was asked, and nobody is told."""

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

from tests.support.deadlines import scaled


class DroppingProxy:
    """Passes bytes on; where a connection's last request begins with ``lose``, its good answer is lost.

    ``left`` answers are lost, after the server has begun to give them; ``then`` is done before that shows.
    """

    def __init__(self, url: str, lose: bytes, left: int, then: Callable[[], None] = lambda: None) -> None:
        there = urlsplit(url)
        self._upstream = (there.hostname, there.port)
        self._then = then
        self._lose, self.left = lose, left
        self.lost: list[bytes] = []
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listening.getsockname()[1]}"
        self._open: list[socket.socket] = [self._listening]

    def serve(self) -> None:
        """Until :meth:`close`."""
        with contextlib.suppress(OSError):
            while True:
                ours, _ = self._listening.accept()
                theirs = socket.create_connection(self._upstream)
                self._open += [ours, theirs]
                asked = bytearray()
                threading.Thread(target=self._up, args=(ours, theirs, asked), daemon=True).start()
                threading.Thread(target=self._down, args=(ours, theirs, asked), daemon=True).start()

    def _up(self, ours: socket.socket, theirs: socket.socket, asked: bytearray) -> None:
        with contextlib.suppress(OSError):
            while data := ours.recv(65536):
                asked[:] = data[:200] if data.startswith((b"GET ", b"POST ", b"PUT ")) else asked
                theirs.sendall(data)
            theirs.shutdown(socket.SHUT_WR)

    def _down(self, ours: socket.socket, theirs: socket.socket, asked: bytearray) -> None:
        with contextlib.suppress(OSError):
            while data := theirs.recv(65536):
                if self.left and asked.startswith(self._lose) and data.startswith(b"HTTP/1.1 2"):
                    self.left -= 1
                    self.lost.append(data[:15])
                    self._then()
                    break
                ours.sendall(data)
        for end in (ours, theirs):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """End every connection."""
        for end in self._open:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()


@contextmanager
def dropping(
    url: str, lose: bytes, left: int, then: Callable[[], None] = lambda: None
) -> Iterator[DroppingProxy]:
    """A proxy before this address that loses so many answers to requests that begin so."""
    proxy = DroppingProxy(url, lose, left, then)
    serving = threading.Thread(target=proxy.serve)
    serving.start()
    try:
        yield proxy
    finally:
        proxy.close()
        serving.join(scaled(10))
