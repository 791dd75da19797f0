"""``funcledger serve``: one service as a process of its own, on the log and the read models it is told of."""

import asyncio
import logging
import socket
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from typing import TypeVar

from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type, stop_after_delay, wait_fixed

from funcledger_compose import tracing
from funcledger_compose.backends import Backends
from funcledger_compose.roles import WITHOUT_STORE
from funcledger_compose.services import Services
from funcledger_compose.serving import (
    Server,
    Signals,
    address,
    configure,
    first,
    open_up,
    reserve,
    say,
    uvicorn_loop,
)
from funcledger_compose.settings import Settings, SettingsError
from funcledger_compose.users import users_of
from funcledger_event_log.port import LogError
from funcledger_read_models.port import StoreError

_log = logging.getLogger(__name__)

T = TypeVar("T")
#: Seconds in which new records of tasks may gather at Kafka's broker where no result waits for them: what
#: these cost is mostly by request, not by record. Read models are so much older.
_GATHER = {"projectors": 0.1, "command-api": 0.1}
#: Seconds a service waits at its start for the log and the read models to be there.
PATIENCE = 60.0


def serve(settings: Settings, role: str) -> None:
    """Run until SIGINT or SIGTERM, then drain.

    Raises:
        SettingsError: it cannot be as it is told; the message says what to change.
        DataDirError: the port cannot be had.
    """
    if settings.log != "kafka" or settings.read_models != "mongo":
        raise SettingsError(
            f"a {role} of its own shares its log and read models with others: set FUNCLEDGER_LOG=kafka and "
            "FUNCLEDGER_READ_MODELS=mongo. On one machine, `funcledger up` runs everything"
        )
    configure(settings.log_level, settings.log_format)
    tracing.configure(role)
    with uvicorn_loop() as runner:
        runner.run(_serve(settings, role))


async def _serve(settings: Settings, role: str) -> None:
    signals = Signals()
    async with AsyncExitStack() as stack:
        # Connections are refused until it is ready, so that the door asks another instance meanwhile.
        sock = reserve(settings.host, settings.port)
        stack.callback(sock.close)
        starting = asyncio.create_task(_start(settings, role, stack))
        await first(starting, signals.first)
        if not starting.done():
            starting.cancel()
            await asyncio.gather(starting, return_exceptions=True)
            return
        await _answer(starting.result(), role, sock, settings, signals)


async def _start(settings: Settings, role: str, stack: AsyncExitStack) -> Services:
    from funcledger_compose.topics import check  # not without the extra, which Backends asks for

    backends = Backends(settings, stack)
    log = await backends.log(settings.data_dir / "log", _GATHER.get(role, 0.0))
    await _patiently(lambda: check(settings))
    store = None
    if role not in WITHOUT_STORE:
        store = await _patiently(lambda: backends.store(settings.data_dir / "read_models.db"))
    if not (users := users_of(settings)):
        _log.warning(
            "no user has a token, so %s will refuse every user: set FUNCLEDGER_TOKENS or "
            "FUNCLEDGER_TOKENS_FILE (`funcledger token create NAME` makes one)",
            role,
        )
    services = await _patiently(
        lambda: Services.over(log, store, settings, users=users, roles={role}, projector=backends.projector)
    )
    stack.push_async_callback(services.stop)
    return services


async def _answer(
    services: Services, role: str, sock: socket.socket, settings: Settings, signals: Signals
) -> None:
    server = Server(services, settings)
    open_up(sock)
    serving = asyncio.create_task(server.serve(sockets=[sock]))
    await server.until_started(serving)
    say(f"funcledger {role} is ready at {address(sock)}")
    try:
        await first(serving, signals.first)
    finally:
        server.stop()
        await first(serving, signals.second)
        if not serving.done():
            serving.cancel()


async def _patiently(work: Callable[[], Awaitable[T]]) -> T:
    """What ``work`` gives, once the broker and the database answer."""
    trying = AsyncRetrying(
        retry=retry_if_exception_type((LogError, StoreError)),
        stop=stop_after_delay(PATIENCE),
        wait=wait_fixed(0.5),
        before_sleep=_say,
        reraise=True,
    )

    async def attempt() -> T:
        return await work()

    try:
        return await trying(attempt)
    except (LogError, StoreError) as error:
        raise SettingsError(f"gave up after {PATIENCE:.0f} s: {error}") from error


def _say(state: RetryCallState) -> None:
    cause = state.outcome.exception() if state.outcome else None
    _log.warning("waiting to start: %s", cause)
