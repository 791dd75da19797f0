"""Who listens on a port in a server's stead, keeps what is sent there, and may pass it on to a real one."""

import contextlib
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"


class Impostor:
    """A listener; ``heard`` is every byte that came, ``visits`` the number of connections."""

    def __init__(self, port: int, real: int | None) -> None:
        self._listening = socket.create_server(("127.0.0.1", port))
        self._real = real
        self.url = f"http://127.0.0.1:{self._listening.getsockname()[1]}"
        self.visits = 0
        self.heard = b""
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):  # closed
            while True:
                connection, _ = self._listening.accept()
                self.visits += 1
                threading.Thread(target=self._hear, args=(connection,), daemon=True).start()

    def _hear(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError), connection:
            real = socket.create_connection(("127.0.0.1", self._real)) if self._real else None
            if real is not None:
                threading.Thread(target=_pass_on, args=(real, connection), daemon=True).start()
            while data := connection.recv(65536):
                self.heard += data
                real.sendall(data) if real is not None else connection.sendall(_ANSWER)

    def close(self) -> None:
        """Listen no more."""
        self._listening.close()


def _pass_on(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError), source:
        while data := source.recv(65536):
            target.sendall(data)


@contextmanager
def impostor(port: int = 0, *, real: int | None = None) -> Iterator[Impostor]:
    """One at this port (0: any), which passes on to the server at ``real`` what it hears, if there is one."""
    made = Impostor(port, real)
    try:
        yield made
    finally:
        made.close()
