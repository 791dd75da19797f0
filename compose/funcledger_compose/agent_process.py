"""An endpoint's agent as a process: its log over HTTP, its engine, and how it is told to stop."""

import asyncio
import logging
import os
import signal
import sys
from contextlib import AsyncExitStack, suppress

import httpx2

from funcledger_compose import tracing
from funcledger_compose.allocator import keep_memory
from funcledger_compose.endpoint_dir import EndpointDir, EndpointDirError, EndpointSettings
from funcledger_compose.logs import configure_logging
from funcledger_compose.same_user import keep_from_same_user
from funcledger_compose.served import Served
from funcledger_compose.settings import load
from funcledger_compose.worker_limits import limits_of
from funcledger_endpoint.agent import FENCED_EXIT_CODE, Agent
from funcledger_endpoint.bounded_log import BoundedLog
from funcledger_endpoint.engine import Engine
from funcledger_endpoint.local.engine import LocalEngine
from funcledger_endpoint.local.environment import cores
from funcledger_endpoint.settings import AgentSettings
from funcledger_event_log import plain
from funcledger_event_log.direct import DirectEndpointLog
from funcledger_event_log.endpoint_port import CredentialRefused, EndpointLog, Fenced, Identity
from funcledger_event_log.http import HttpEndpointLog
from funcledger_event_log.port import LogError, PositionGone

_log = logging.getLogger(__name__)

#: What the process exits with when its credential opens nothing: starting it again would not help.
REFUSED_EXIT_CODE = 77
#: What it exits with when the log cannot give what the agent must read: only people can help.
UNSERVABLE_EXIT_CODE = 76
#: Seconds an agent whose server has gone without a word looks for the next one before it gives up.
_ORPHAN_PATIENCE = 20.0
#: Seconds between signs of life.
_LIFE = 0.5


async def identify(where: EndpointDir, url: str, credential: str) -> Identity:
    """Whom a credential speaks for at the server that ``url`` names in this endpoint's settings.

    Raises:
        EndpointDirError: the server cannot be reached, or does not know the credential.
    """
    address, path = where.server_at(url)
    log = HttpEndpointLog(address, credential, socket_path=path)
    try:
        return await log.identify()
    except CredentialRefused:
        raise EndpointDirError(
            f"the server at {path or url} does not know this credential; was it typed whole?"
        ) from None
    except LogError as error:
        raise EndpointDirError(f"the server at {path or url} cannot be reached: {error}") from error
    finally:
        await log.close()


def run_agent(where: EndpointDir, *, attached: bool) -> int:
    """Run the agent until it is told to stop; returns the process's exit code.

    ``attached``: standard input is a pipe from the server that started it, and ends with that server.
    """
    keep_memory()
    keep_from_same_user()
    settings = where.settings()
    configure_logging(settings.log_level, os.environ.get("FUNCLEDGER_LOG_FORMAT", "text"))
    tracing.configure("endpoint")
    with where.running(), asyncio.Runner(loop_factory=_loop_factory()) as runner:
        return runner.run(_run(where, settings, attached=attached))


def _loop_factory() -> "type[asyncio.AbstractEventLoop] | None":
    try:
        import uvloop
    except ImportError:
        return None
    found: type[asyncio.AbstractEventLoop] = uvloop.Loop
    return found


def _engine(settings: EndpointSettings, where: EndpointDir, log_file: BoundedLog) -> Engine:
    if settings.engine != "local":
        raise EndpointDirError(
            f'{where.config}: engine = "{settings.engine}" is not known; there is "local".'
        )
    limits = limits_of(settings, where)
    return LocalEngine(
        settings.workers or cores(),
        output=log_file,
        limits=limits,
        alone=True,
        environment=settings.environment,
        directories=where.tasks,
        keep=settings.keep_task_directories,
    )


async def _log_of(settings: EndpointSettings, where: EndpointDir, stack: AsyncExitStack) -> EndpointLog:
    """The endpoint's view of the log: through the gateway, or of its partition itself."""
    view: EndpointLog
    if settings.direct is None:
        address, path = where.server_at(settings.url)
        view = HttpEndpointLog(address, where.credential(), socket_path=path)
    else:
        from funcledger_compose.on_kafka import kafka_log

        log = await kafka_log(load())
        stack.push_async_callback(log.close)
        known = settings.direct
        view = DirectEndpointLog(
            log, Identity(settings.endpoint_id, known.name, known.owner, known.partition)
        )
    stack.push_async_callback(view.close)
    return view


async def _run(where: EndpointDir, settings: EndpointSettings, *, attached: bool) -> int:
    async with AsyncExitStack() as stack:
        log = await _log_of(settings, where, stack)
        drain = AgentSettings(drain=settings.drain)
        log_file = BoundedLog(where.log_file)
        stack.callback(log_file.close)
        agent = Served(lambda: Agent(log, _engine(settings, where, log_file), drain))
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, agent.stop)
        watchers = [
            asyncio.create_task(_show_life(where, log_file)),
            asyncio.create_task(_tell_contact(where, log)),
        ]
        if attached:
            watchers.append(asyncio.create_task(_watch_server(where, settings, agent)))
        try:
            await agent.run()
        except Fenced:
            _log.warning("a newer agent has taken this endpoint over; this one ends")
            return FENCED_EXIT_CODE
        except CredentialRefused as error:
            _log.error("the server refuses this endpoint's credential: %s", error)
            return REFUSED_EXIT_CODE
        except PositionGone as error:
            _log.error(
                "the log no longer keeps what this endpoint has yet to read (%s); the tasks in it expire. "
                "Begin anew: delete the endpoint and configure it again, and keep the log for longer than an "
                "endpoint may be away",
                error,
            )
            return UNSERVABLE_EXIT_CODE
        except LogError as error:
            _log.error("the log cannot serve this endpoint: %s", error)
            return UNSERVABLE_EXIT_CODE
        finally:
            for watcher in watchers:
                watcher.cancel()
    _log.info("the agent has stopped in good order")
    return 0


async def _show_life(where: EndpointDir, log_file: BoundedLog) -> None:
    """So that whoever has started this agent knows when it is stuck, as a task may have stopped it."""
    while True:
        where.show_life()
        with suppress(OSError):  # without room on the disk it stays as it is
            log_file.keep_within()  # what this process logs goes there by its standard streams
        await asyncio.sleep(_LIFE)


async def _tell_contact(where: EndpointDir, log: EndpointLog) -> None:
    """So that whoever has started this agent knows whether it has found its server."""
    why_not: str | None = ""
    while why_not is not None:
        try:
            await log.identify()
            why_not = None
        except CredentialRefused:
            return  # the agent ends for it, and says so
        except LogError as error:
            why_not = str(error)
        where.tell_contact(why_not)
        await asyncio.sleep(_LIFE)


async def _watch_server(where: EndpointDir, settings: EndpointSettings, agent: Served) -> None:
    """Stop the agent when the server that started it is gone and no other takes its place.

    A server killed and started again finds its agent at work.
    """
    await _end_of_input()
    _log.warning("the server that started this agent is gone; looking for the next one at %s", settings.url)
    silent = 0.0
    address, path = where.server_at(settings.url)
    way = plain.way_to(address, path)
    async with httpx2.AsyncClient(base_url=address, transport=way, trust_env=False) as client:
        while silent < _ORPHAN_PATIENCE and _still_at(where, settings.url):
            await asyncio.sleep(1.0)
            try:
                await client.get("/healthz")
                silent = 0.0
            except httpx2.HTTPError:
                silent += 1.0
    _log.error("no server took over; this agent ends")
    agent.stop()


async def _end_of_input() -> None:
    """Return when standard input ends; nothing is ever written to it."""
    loop, ended = asyncio.get_running_loop(), asyncio.Event()
    loop.add_reader(sys.stdin.fileno(), ended.set)
    try:
        await ended.wait()
    finally:
        loop.remove_reader(sys.stdin.fileno())


def _still_at(where: EndpointDir, url: str) -> bool:
    """Whether the endpoint's settings, if they are still there, name the same server."""
    try:
        return where.settings().url == url
    except EndpointDirError:
        return False
