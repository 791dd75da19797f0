"""What every server process is: an event loop, a socket, signals, and uvicorn that ends in order."""

import asyncio
import gc
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn

from funcledger_compose.allocator import keep_memory
from funcledger_compose.connections import ConnectionLimits, Connections, with_room
from funcledger_compose.data_dir import DataDirError
from funcledger_compose.http_protocol import protocol_of
from funcledger_compose.logs import configure_logging
from funcledger_compose.services import Services
from funcledger_compose.settings import Settings


def configure(log_level: str, log_format: str = "text") -> None:
    """Logging, and what suits a busy server of Python's own settings."""
    configure_logging(log_level, log_format)
    keep_memory()
    # The log's writer must get its turn between the loop's callbacks, or commits wait for many of them; but
    # each turn moves what both work on from one core to the other.
    sys.setswitchinterval(0.001)
    # The documents and events of a busy server are many and short-lived, and hold no cycles.
    gc.set_threshold(50_000, 20, 50)


def uvicorn_loop() -> "asyncio.Runner":
    """An event loop as uvicorn would choose it: uvloop where it is installed."""
    try:
        import uvloop
    except ImportError:
        return asyncio.Runner()
    return asyncio.Runner(loop_factory=uvloop.new_event_loop)


def listen(host: str, port: int) -> socket.socket:
    """A listening socket.

    Raises:
        DataDirError: the address cannot be had.
    """
    made = reserve(host, port)
    open_up(made)
    return made


def reserve(host: str, port: int) -> socket.socket:
    """A socket at that address that refuses connections until it is opened up.

    Raises:
        DataDirError: the address cannot be had.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    made = socket.socket(family)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        made.bind((host, port))
    except OSError as error:
        made.close()
        raise _not_to_be_had(host, port, error) from error
    return made


def open_up(reserved: socket.socket) -> None:
    """Let clients connect.

    Raises:
        DataDirError: another process was first.
    """
    host, port = reserved.getsockname()[:2]
    try:
        reserved.listen(2048)
    except OSError as error:
        reserved.close()
        raise _not_to_be_had(host, port, error) from error


def _not_to_be_had(host: str, port: int, error: OSError) -> DataDirError:
    return DataDirError(
        f"port {port} on {host} cannot be listened on: {error.strerror}. Is another server running? "
        "Choose another port with --port (0 picks a free one)."
    )


def address(sock: socket.socket) -> str:
    """The URL of a listening socket."""
    host, port = sock.getsockname()[:2]
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"


class Signals:
    """SIGINT and SIGTERM: the first asks for an orderly end, the second for one at once."""

    def __init__(self) -> None:
        loop = asyncio.get_running_loop()
        self.first: asyncio.Future[None] = loop.create_future()
        self.second: asyncio.Future[None] = loop.create_future()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._received)

    def _received(self) -> None:
        if not self.first.done():
            say("Stopping; running tasks may finish first. Ctrl-C again stops at once.")
            self.first.set_result(None)
        elif not self.second.done():
            self.second.set_result(None)


async def first(*futures: "asyncio.Future[Any]") -> None:
    """Return when one is done; raise what it raised."""
    done, _ = await asyncio.wait(futures, return_when=asyncio.FIRST_COMPLETED)
    for future in done:
        future.result()


class Server(uvicorn.Server):
    """Uvicorn without its own signal handling: streams are ended first, so that nothing hangs."""

    def __init__(self, services: Services, settings: Settings) -> None:
        self._services = services
        limits = ConnectionLimits(
            connections=settings.connections, per_address=settings.connections_per_address
        )
        super().__init__(
            uvicorn.Config(
                services.app,
                log_config=None,
                access_log=False,
                server_header=False,
                lifespan="off",
                http=protocol_of(Connections(with_room(limits))),
                ws="none",
                timeout_graceful_shutdown=int(settings.drain),
                timeout_keep_alive=limits.idle_time,
            )
        )

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Signals are ours: streams end, and the agent stops, before uvicorn waits for requests."""
        yield

    def stop(self) -> None:
        """End streams and waits, then finish what is under way."""
        self._services.close_streams()
        self.should_exit = True

    async def until_started(self, serving: "asyncio.Task[None]") -> None:
        """Return once requests are taken; raises what kept it from starting."""
        while not self.started:
            if serving.done():
                await serving
            await asyncio.sleep(0.002)


def say(text: str) -> None:
    """Print at once."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()
