"""All that a client meets, on the embedded log and read models or those in memory, in a thread of its own."""

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from pathlib import Path

from fastapi import APIRouter, FastAPI
from tests.support import logs, stores
from tests.support.apps import ADA, BOB, TOKENS, always_ready
from tests.support.commands import with_topics
from tests.support.deadlines import scaled
from tests.support.poll import until_sync
from tests.support.server import serving

from funcledger import Client
from funcledger_command_api.api import ABOUT
from funcledger_command_api.api import routers as command_routers
from funcledger_command_api.backlog import Backlog
from funcledger_endpoint.agent import Agent
from funcledger_endpoint.local.engine import LocalEngine
from funcledger_endpoint.settings import AgentSettings
from funcledger_event_log.fence import Fence
from funcledger_event_log.follower import Tail
from funcledger_event_log.http import HttpEndpointLog
from funcledger_event_log.memory import MemoryLog
from funcledger_event_log.port import EventLog
from funcledger_gateway.door import Door
from funcledger_gateway.fencing import EpochTail
from funcledger_gateway.keeper import Keeper
from funcledger_gateway.routes import routers as gateway_routers
from funcledger_projectors.runner import Projector
from funcledger_query_api.api import QuerySide
from funcledger_read_models.memory import MemoryStore
from funcledger_read_models.port import ReadModelStore
from funcledger_schemas.limits import BACKLOG_TASKS
from funcledger_web.app import application
from funcledger_web.auth import AnyOf
from funcledger_web.catalogue import TOPICS, Catalogue
from funcledger_web.credentials import EndpointCredentials


class Service:
    """A running server; agents are started on it as a test needs them."""

    def __init__(self, url: str, loop: asyncio.AbstractEventLoop) -> None:
        self.url = url
        self.token, self.other_token = ADA, BOB
        self._loop = loop

    def client(self, token: str | None = None) -> Client:
        """A client of it."""
        return Client(self.url, token or self.token)

    @contextmanager
    def endpoint(self, name: str = "lab", workers: int = 2) -> Iterator[str]:
        """An endpoint of that name with an agent that is online; its id. Registered anew."""
        with self.client() as client:
            made = client.register_endpoint(name)
            with self.agent(name, made["credential"], workers):
                until_sync(lambda: client.get_endpoint_status(name)["status"] == "online", 15.0)
                yield made["endpoint_id"]

    @contextmanager
    def agent(self, _name: str, credential: str, workers: int = 2) -> Iterator[None]:
        """The agent of a registered endpoint."""
        stop = asyncio.Event()
        running = asyncio.run_coroutine_threadsafe(self._run_agent(credential, workers, stop), self._loop)
        try:
            yield
        finally:
            self._loop.call_soon_threadsafe(stop.set)
            running.result(scaled(30))

    async def _run_agent(self, credential: str, workers: int, stop: asyncio.Event) -> None:
        log = HttpEndpointLog(self.url, credential)
        agent = Agent(log, LocalEngine(workers, patience=0.5), AgentSettings(drain=1.0, heartbeat=1.0))
        running = asyncio.create_task(agent.run())
        stopping = asyncio.create_task(stop.wait())
        await asyncio.wait((running, stopping), return_when=asyncio.FIRST_COMPLETED)
        agent.stop()
        await running
        stopping.cancel()
        await log.close()


@contextmanager
def service(
    log: EventLog | None = None, *, folder: Path | None = None, backlog: int = BACKLOG_TASKS
) -> Iterator[Service]:
    """The whole of it until the end of the block, on what users of one machine get: files, in ``folder``.

    Without one, log and read models are in memory. An endpoint may have ``backlog`` unfinished tasks.
    """
    started: list[Service] = []
    failed: list[BaseException] = []
    stop = asyncio.Event()

    async def run() -> None:
        try:
            async with _storage(log, folder) as (kept, store), _server(kept, store, backlog) as url:
                started.append(Service(url, asyncio.get_running_loop()))
                await stop.wait()
        except BaseException as error:
            failed.append(error)
            raise

    thread = threading.Thread(target=asyncio.run, args=(run(),), name="service")
    thread.start()
    try:
        until_sync(lambda: started or failed, 10.0)
        assert started, failed
        yield started[0]
    finally:
        if started:
            started[0]._loop.call_soon_threadsafe(stop.set)
        thread.join(scaled(20))
        assert not thread.is_alive()


@asynccontextmanager
async def _storage(
    log: EventLog | None, folder: Path | None
) -> AsyncIterator[tuple[EventLog, ReadModelStore]]:
    if folder is None:
        yield log or MemoryLog(), MemoryStore()
        return
    async with logs.sqlite(folder) as embedded, stores.sqlite(folder) as store:
        yield log or embedded, store


@asynccontextmanager
async def _server(log: EventLog, store: ReadModelStore, tasks: int) -> AsyncIterator[str]:
    await with_topics(log)
    async with AsyncExitStack() as stack:
        catalogue = Catalogue()
        tail = Tail(log, TOPICS, catalogue.apply, name="catalogue")
        epochs, query = EpochTail(log, Fence(), {}), QuerySide(log, store)
        backlog = Backlog(log, tasks=tasks)
        for part in (tail, epochs, Projector(log, store), query, Keeper(log, store, interval=0.1), backlog):
            await part.start()
            stack.push_async_callback(part.stop)
        door = Door(log, epochs, catalogue, tail)
        routers = [*command_routers(log, catalogue, tail, backlog), *query.routers(), *gateway_routers(door)]

        def close_streams() -> None:
            query.close_streams()
            door.close_feeds()

        app = _app(routers, catalogue, tail)
        yield await stack.enter_async_context(serving(app, close_streams))


def _app(routers: Sequence[APIRouter], catalogue: Catalogue, tail: Tail) -> FastAPI:
    known = AnyOf(EndpointCredentials(catalogue, lambda: tail.catch_up(2.0)), TOKENS)
    return application(
        "service", routers, authenticator=known, allowed_hosts=["*"], ready=always_ready, about=ABOUT
    )
