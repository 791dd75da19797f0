"""A real server on a port of its own, for tests that need sockets."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import uvicorn
from starlette.types import ASGIApp
from tests.support.deadlines import scaled
from tests.support.poll import until

from funcledger_compose.connections import ConnectionLimits, Connections
from funcledger_compose.http_protocol import protocol_of


class _Server(uvicorn.Server):
    """Ends open streams when it stops, which uvicorn alone would wait for."""

    def __init__(self, app: ASGIApp, on_stop: Callable[[], None], limits: ConnectionLimits) -> None:
        protocol = protocol_of(Connections(limits))
        super().__init__(
            uvicorn.Config(app, lifespan="off", log_config=None, timeout_keep_alive=75, http=protocol)
        )
        self._on_stop = on_stop

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._on_stop()
        await super().shutdown(sockets)


@asynccontextmanager
async def serving(
    app: ASGIApp, on_stop: Callable[[], None] = lambda: None, limits: ConnectionLimits | None = None
) -> AsyncIterator[str]:
    """Serve the app on 127.0.0.1; gives its address. ``on_stop`` ends streams that would never end."""
    listening = socket.create_server(("127.0.0.1", 0))
    # As uvloop does, and asyncio not for such a socket: else each answer's body waits 40 ms after its head.
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    server = _Server(app, on_stop, limits or ConnectionLimits())
    running = asyncio.create_task(server._serve([listening]))
    try:
        await until(lambda: server.started)
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        server.should_exit = True
        async with asyncio.timeout(scaled(10)):
            await running
        listening.close()
