"""The projector's own process: it reads the server's log, folds, saves, and says so."""

import asyncio
import itertools
import os
import sys
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path

from funcledger_compose.projecting.messages import (
    Append,
    Appended,
    Begun,
    Hurry,
    Moved,
    Saved,
    Stopped,
    heard,
    say,
)
from funcledger_event_log.port import LogCorrupt, LogUnavailable, OutcomeUnknown
from funcledger_event_log.records import NewRecord, Position
from funcledger_event_log.sqlite import SqliteView
from funcledger_projectors.inbox import Inbox
from funcledger_projectors.runner import Projector
from funcledger_read_models.documents import INLINE_LIMIT
from funcledger_read_models.port import Documents, Positions
from funcledger_read_models.sqlite import SqliteStore, UnusableFile

#: The exit code of a projector that has stopped for good.
STOPPED = 3
#: While many records come and nobody waits for the read models, so many seconds' worth of them gather, but no
#: more than so many: what is written of a task when it comes, begins and ends is then mostly written once.
GATHER, ROOM = 1.5, 48_000


async def run(log: Path, read_models: Path, messages: int) -> int:
    """Follow the log in this directory until standard input ends; the exit code.

    ``messages`` is the descriptor that messages to the server go to.
    """
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    transport, protocol = await loop.connect_write_pipe(
        asyncio.streams.FlowControlMixin, os.fdopen(messages, "wb")
    )
    server = Server(asyncio.StreamWriter(transport, protocol, None, loop))
    try:
        return await _follow(log, read_models, server, reader)
    except (LogCorrupt, UnusableFile) as error:
        server.stopped(error)
        return STOPPED
    finally:
        await server.close()


async def _follow(log: Path, read_models: Path, server: "Server", reader: asyncio.StreamReader) -> int:
    async with AsyncExitStack() as stack:
        view = await SqliteView.open(log, server.append, leave=INLINE_LIMIT)
        stack.push_async_callback(view.close)
        store = await SqliteStore.open(read_models)
        stack.push_async_callback(store.close)
        projector = Projector(view, Told(store, server), inbox=lambda: Inbox(GATHER, ROOM))
        listening = asyncio.create_task(server.listen(reader, view, projector))
        stack.callback(listening.cancel)
        await projector.start()
        stack.push_async_callback(projector.stop)
        server.begun()
        ended = asyncio.create_task(projector.ended())
        await asyncio.wait([listening, ended], return_when=asyncio.FIRST_COMPLETED)
        if projector.failed is None:
            return 0
        server.stopped(projector.failed)
        return STOPPED


class Server:
    """The server, to its projector."""

    def __init__(self, writer: asyncio.StreamWriter) -> None:
        self._writer = writer
        self._numbers = itertools.count()
        self._asked: dict[int, asyncio.Future[list[Position]]] = {}

    async def listen(self, reader: asyncio.StreamReader, view: SqliteView, projector: Projector) -> None:
        """Take in what it says, until it says no more."""
        async for message in heard(reader):
            if isinstance(message, Moved):
                view.advance(message.ends)
            elif isinstance(message, Hurry):
                projector.hurry(message.wanted)
            elif isinstance(message, Appended):
                self._answered(message)

    async def append(self, records: Sequence[NewRecord]) -> list[Position]:
        """Have it append; as :meth:`EventLog.append`."""
        number = next(self._numbers)
        answer: asyncio.Future[list[Position]] = asyncio.get_running_loop().create_future()
        self._asked[number] = answer
        rows = [(each.topic, each.partition, each.key, list(each.headers), each.value) for each in records]
        say(self._writer, Append(number, rows))
        try:
            return await answer
        finally:
            del self._asked[number]

    def _answered(self, message: Appended) -> None:
        answer = self._asked.get(message.number)
        if answer is None or answer.done():
            return
        if message.wrong:
            answer.set_exception(
                (LogUnavailable if message.wrong == "unavailable" else OutcomeUnknown)(message.why)
            )
        else:
            answer.set_result([Position(*each) for each in message.positions])

    def begun(self) -> None:
        """Tell it that this process has begun to follow."""
        say(self._writer, Begun())

    def saved(self, documents: int, seconds: float) -> None:
        """Tell it of a save, so that those who wait there look."""
        say(self._writer, Saved(documents, seconds))

    def stopped(self, error: Exception) -> None:
        """Tell it that nothing more will be saved."""
        say(self._writer, Stopped(str(error)))

    async def close(self) -> None:
        """Send what was said."""
        self._writer.close()


class Told:
    """A ``ReadModelStore`` that is another, and whose saves the server is told of."""

    def __init__(self, store: SqliteStore, server: Server) -> None:
        self._store = store
        self._server = server
        self.load, self.positions, self.wait_change = store.load, store.positions, store.wait_change
        self.get, self.find, self.due, self.close = store.get, store.find, store.due, store.close

    async def save(self, documents: Documents, positions: Positions, before: Positions) -> None:
        """As the port says."""
        begun = time.perf_counter()
        await self._store.save(documents, positions, before)
        self._server.saved(sum(map(len, documents.values())), time.perf_counter() - begun)
