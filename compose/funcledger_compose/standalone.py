"""``funcledger up``: every service in one process, by default on the embedded log, and an endpoint."""

import asyncio
import socket
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack

from funcledger_compose import tracing
from funcledger_compose.backends import Backends
from funcledger_compose.data_dir import DataDir
from funcledger_compose.known import endpoints_known
from funcledger_compose.local_endpoint import NAME, LocalEndpoint, move_to_socket
from funcledger_compose.same_user import keep_from_same_user
from funcledger_compose.services import Services
from funcledger_compose.serving import Server, Signals, address, configure, first, listen, say, uvicorn_loop
from funcledger_compose.settings import Settings
from funcledger_compose.startup_errors import startup_errors
from funcledger_compose.users import users_of
from funcledger_endpoint.local.environment import cores
from funcledger_web.auth import Principal
from funcledger_web.tokens import digest

#: Who owns what is made with the token in the data directory.
OWNER = "local"


def serve(settings: Settings, *, endpoint: bool) -> None:
    """Run until SIGINT or SIGTERM.

    Raises:
        DataDirError: the directory, what is in it, or the port cannot be used; the message says what to do.
    """
    configure(settings.log_level, settings.log_format)
    keep_from_same_user()  # tasks of the local endpoint run as this user
    tracing.configure("server")
    with startup_errors(settings.data_dir), uvicorn_loop() as runner:
        runner.run(_serve(settings, endpoint=endpoint))


async def _serve(settings: Settings, *, endpoint: bool) -> None:
    data = DataDir(settings.data_dir)
    data.open()
    async with AsyncExitStack() as stack:
        backends = Backends(settings, stack)
        log = await backends.log(data.log)
        sock = listen(settings.host, settings.port)
        stack.callback(sock.close)
        here = data.listen()
        stack.callback(data.withdraw)
        stack.callback(here.close)
        store = await backends.store(data.read_models)
        users = users_of(settings) | {digest(data.token()): Principal("user", OWNER)}
        services = await Services.over(log, store, settings, users=users, projector=backends.projector)
        stack.push_async_callback(services.stop)
        await _run(
            settings,
            data,
            services,
            (sock, here),
            lambda: endpoints_known(log, store, services),
            endpoint=endpoint,
        )


async def _run(
    settings: Settings,
    data: DataDir,
    services: Services,
    sockets: tuple[socket.socket, socket.socket],
    known: Callable[[], Awaitable[None]],
    *,
    endpoint: bool,
) -> None:
    url = address(sockets[0])
    server = Server(services, settings)
    serving = asyncio.create_task(server.serve(sockets=list(sockets)))
    signals = Signals()
    await server.until_started(serving)
    move_to_socket(data, url)
    data.announce(url)
    local = LocalEndpoint(data, settings.workers)
    try:
        if endpoint:
            await local.start()
        await first(asyncio.ensure_future(known()), serving, signals.first)
        if not signals.first.done() and not serving.done():
            _say_ready(url, local if endpoint else None)
        await first(serving, signals.first)
        # The agent's last words go through the gateway, so it stops before the server does.
        await first(serving, signals.second, asyncio.ensure_future(local.stop()))
    finally:
        local.kill()
        server.stop()
        await serving


def _say_ready(url: str, local: LocalEndpoint | None) -> None:
    lines = [f"funcledger is ready at {url}"]
    if local is not None:
        known = local.settings
        lines += [
            f"Endpoint {NAME!r} ({known.endpoint_id}) has {known.workers or cores()} workers. Try in Python:",
            "",
            "    from funcledger import Executor",
            f"    with Executor(endpoint_id={NAME!r}) as executor:",
            "        print(executor.submit(pow, 2, 100).result())",
            "",
        ]
    lines.append("Ctrl-C stops it; everything is kept.")
    say("\n".join(lines))
