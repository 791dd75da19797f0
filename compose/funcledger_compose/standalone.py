"""``funcledger up``: every service in one process on the embedded log, its endpoint a process beside it."""

import asyncio
import gc
import logging
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager

import uvicorn

from funcledger_compose.allocator import keep_memory
from funcledger_compose.data_dir import DataDir, DataDirError
from funcledger_compose.local_endpoint import NAME, LocalEndpoint
from funcledger_compose.services import Services
from funcledger_compose.settings import Settings
from funcledger_event_log.sqlite import LogCorrupt, LogInUse, SqliteLog
from funcledger_read_models.sqlite import SqliteStore

#: Who owns what is made with the token in the data directory.
OWNER = "local"


def serve(settings: Settings, *, endpoint: bool) -> None:
    """Run until SIGINT or SIGTERM.

    Raises:
        DataDirError: the directory or the port cannot be used; the message says what to do.
    """
    logging.basicConfig(
        level=settings.log_level.upper(), format="%(asctime)s %(levelname)-7s %(name)s: %(message)s"
    )
    for chatty in ("uvicorn.error", "httpx2"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    keep_memory()
    # The log's writer must get its turn between the loop's callbacks, or commits wait for many of them.
    sys.setswitchinterval(0.0001)
    # The documents and events of a busy server are many and short-lived, and hold no cycles.
    gc.set_threshold(50_000, 20, 50)
    with uvicorn_loop() as runner:
        runner.run(_serve(settings, endpoint=endpoint))


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
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    made = socket.socket(family)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        made.bind((host, port))
        made.listen(2048)
    except OSError as error:
        made.close()
        raise DataDirError(
            f"port {port} on {host} cannot be listened on: {error.strerror}. Is another server running? "
            "Choose another port with --port (0 picks a free one)."
        ) from error
    return made


async def _serve(settings: Settings, *, endpoint: bool) -> None:
    data = DataDir(settings.data_dir)
    data.open()
    async with AsyncExitStack() as stack:
        try:
            log = await SqliteLog.open(data.log)
        except (LogInUse, LogCorrupt) as error:
            raise DataDirError(str(error)) from error
        stack.push_async_callback(log.close)
        sock = listen(settings.host, settings.port)
        stack.callback(sock.close)
        store = await SqliteStore.open(data.read_models)
        stack.push_async_callback(store.close)
        services = await Services.over(log, store, settings, users={data.token(): OWNER})
        stack.push_async_callback(services.stop)
        await _run(settings, data, services, sock, endpoint=endpoint)


async def _run(
    settings: Settings, data: DataDir, services: Services, sock: socket.socket, *, endpoint: bool
) -> None:
    host, port = sock.getsockname()[:2]
    url = f"http://{f'[{host}]' if ':' in host else host}:{port}"
    server = Server(services)
    serving = asyncio.create_task(server.serve(sockets=[sock]))
    signals = Signals()
    await server.until_started(serving)
    data.announce(url)
    local = LocalEndpoint(data, url, settings.workers)
    try:
        if endpoint:
            await local.start()
        _say_ready(url, local if endpoint else None)
        await _first(serving, signals.first)
        # The agent's last words go through the gateway, so it stops before the server does.
        await _first(serving, signals.second, asyncio.ensure_future(local.stop()))
    finally:
        local.kill()
        server.stop()
        await serving


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
            _say("Stopping; running tasks may finish first. Ctrl-C again stops at once.")
            self.first.set_result(None)
        elif not self.second.done():
            self.second.set_result(None)


async def _first(*futures: "asyncio.Future[None]") -> None:
    """Return when one is done; raise what it raised."""
    done, _ = await asyncio.wait(futures, return_when=asyncio.FIRST_COMPLETED)
    for future in done:
        future.result()


class Server(uvicorn.Server):
    """Uvicorn without its own signal handling: streams are ended first, so that nothing hangs."""

    def __init__(self, services: Services) -> None:
        self._services = services
        super().__init__(
            uvicorn.Config(
                services.app,
                log_config=None,
                access_log=False,
                server_header=False,
                lifespan="off",
                http="httptools",
                ws="none",
                timeout_graceful_shutdown=10,
                timeout_keep_alive=75,
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


def _say_ready(url: str, local: LocalEndpoint | None) -> None:
    lines = [f"funcledger is ready at {url}"]
    if local is not None:
        known = local.settings
        lines += [
            f"Endpoint {NAME!r} ({known.endpoint_id}) has {known.workers} workers. Try in Python:",
            "",
            "    from funcledger import Executor",
            f"    with Executor(endpoint_id={NAME!r}) as executor:",
            "        print(executor.submit(pow, 2, 100).result())",
            "",
        ]
    lines.append("Ctrl-C stops it; everything is kept.")
    _say("\n".join(lines))


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()
