"""The three apps as their own services serve them, over a log and store in memory with something in them."""

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from starlette.types import ASGIApp, Message, Receive, Scope, Send
from tests.support import queries
from tests.support.apps import ADA
from tests.support.queries import Task
from tests.support.server import serving

from funcledger_compose.services import Services
from funcledger_compose.settings import Settings
from funcledger_event_log.memory import MemoryLog
from funcledger_event_log.port import EventLog
from funcledger_event_log.records import NewRecord
from funcledger_read_models.memory import MemoryStore
from funcledger_schemas.envelope import BY_ENDPOINT
from funcledger_web.auth import Principal
from funcledger_web.tokens import ENDPOINT_PREFIX, digest, new_token

#: The apps, by the role whose app each is.
APPS = {"command_api": ["command-api"], "query_api": ["query-api", "projectors"], "gateway": ["gateway"]}
#: Seconds that a stream goes on for.
_STREAM = 0.2


@dataclass(slots=True, frozen=True)
class OneApp:
    """Where it is, and a token that opens its routes."""

    url: str
    token: str


def ending_streams(app: ASGIApp) -> ASGIApp:
    """The same app, but no answer goes on for ever once it has begun."""

    async def call(scope: Scope, receive: Receive, send: Send) -> None:
        begun = False

        async def noting(message: Message) -> None:
            nonlocal begun
            begun = begun or message["type"] == "http.response.start"
            await send(message)

        async def answer() -> None:
            await app(scope, receive, noting)

        answering = asyncio.create_task(answer())
        while not (await asyncio.wait([answering], timeout=_STREAM))[0]:
            if begun:
                answering.cancel()
                with suppress(asyncio.CancelledError):
                    await answering
                await send({"type": "http.response.body", "body": b"", "more_body": False})
                return
        answering.result()

    return call


async def _fill(log: EventLog, endpoint: str) -> None:
    """An endpoint with this credential, a function, and tasks that have ended in all ways."""
    done, failed, cancelled = Task(), Task(), Task()
    tasks = [queries.registered(credential_sha256=digest(endpoint)), queries.function(), queries.started()]
    ends = [done.completed(), failed.failed(), cancelled.cancelled()]
    for event in [*tasks, *(each.submitted() for each in (done, failed, cancelled)), done.begun(), *ends]:
        record = NewRecord.of(event, queries.PARTITION)
        partition = record.partition if record.topic in BY_ENDPOINT else 0
        await log.append([NewRecord(record.topic, partition, record.key, record.headers, record.value)])


@asynccontextmanager
async def _serving(app: str, folder: Path) -> AsyncIterator[OneApp]:
    log, store = MemoryLog(), MemoryStore()
    settings = Settings(data_dir=folder, partitions=4, request_rate=0)
    endpoint = new_token(ENDPOINT_PREFIX)
    users = {digest(ADA): Principal("user", "ada")}
    async with AsyncExitStack() as stack:
        services = await Services.over(log, store, settings, users=users, roles=APPS[app])
        stack.push_async_callback(services.stop)
        await _fill(log, endpoint)
        url = await stack.enter_async_context(serving(ending_streams(services.app), services.close_streams))
        yield OneApp(url, endpoint if app == "gateway" else ADA)


@contextmanager
def one_app(app: str, folder: Path) -> Iterator[OneApp]:
    """One of :data:`APPS` until the end of the block, in a thread of its own."""
    made: list[OneApp] = []
    started, stop = threading.Event(), asyncio.Event()
    loops: list[asyncio.AbstractEventLoop] = []

    async def run() -> None:
        try:
            async with _serving(app, folder) as one:
                made.append(one)
                loops.append(asyncio.get_running_loop())
                started.set()
                await stop.wait()
        finally:
            started.set()

    thread = threading.Thread(target=asyncio.run, args=(run(),), name=app)
    thread.start()
    try:
        assert started.wait(20)
        yield made[0]
    finally:
        if loops:
            loops[0].call_soon_threadsafe(stop.set)
        thread.join(20)
