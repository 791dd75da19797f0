"""Requests between simulated processes: late, sometimes lost, held up while a process is cut off."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from typing import Any, Protocol, TypeVar

from tests.simulation.process import Process

T = TypeVar("T")
#: Seconds a request is on its way at most, when nothing is wrong.
_WAY = 0.004


class Refused(ConnectionError):
    """Raised when nobody listens: the request was not taken."""


class Host(Protocol):
    """What requests go to: a service that comes and goes."""

    @property
    def listening(self) -> tuple[Process, Any] | None:
        """Its present process and what serves in it, None while it is down."""
        ...


class Line:
    """A process's connections to the others. While ``cut`` is held, nothing comes or goes."""

    def __init__(self, process: Process, lossy: float) -> None:
        self.process, self._lossy = process, lossy
        self._open = asyncio.Event()
        self._open.set()

    def cut(self) -> None:
        """From now on nothing gets through, but waits."""
        self._open.clear()

    def mend(self) -> None:
        """What waited gets through."""
        self._open.set()

    def trust(self) -> None:
        """From now on nothing is lost."""
        self._lossy = 0.0

    async def hop(self) -> None:
        """The time it takes one way."""
        self.process.check()
        await asyncio.sleep(_WAY * self.process.dice.random())
        if not self._open.is_set():
            await self._open.wait()
        self.process.check()

    async def ask(self, host: Host, serve: Callable[[Any], Awaitable[T]]) -> T:
        """The answer of ``serve``, which is called with what listens there, and runs there.

        Raises:
            Refused: nothing was done.
            ConnectionError: it may have been done.
        """
        await self.hop()
        if host.listening is None:
            raise Refused("nobody listens")
        process, part = host.listening
        answer: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        process.asked[answer] = None
        process.spawn(_answer(serve, part, answer))
        try:
            found = await answer
        finally:
            process.asked.pop(answer, None)
        await self.hop()
        if self._lossy and self.process.dice.random() < self._lossy:
            raise ConnectionResetError("simulated: the answer was lost")
        return found


async def _answer(serve: Callable[[Any], Awaitable[T]], part: Any, answer: "asyncio.Future[T]") -> None:
    try:
        found = await serve(part)
    except Exception as error:
        if not answer.done():
            answer.set_exception(error)
    else:
        if not answer.done():
            answer.set_result(found)


class Pipe:
    """One stream's bytes on their way from a service to whoever opened it; ends with either."""

    def __init__(self, line: Line, host: Host, chunks: Callable[[Any], AsyncGenerator[bytes]]) -> None:
        self._line, self._host, self._chunks = line, host, chunks
        self._came: asyncio.Queue[bytes | Exception | None] = asyncio.Queue(4)
        self._sending: asyncio.Task[None] | None = None

    async def received(self) -> AsyncGenerator[bytes]:
        """The chunks as they come.

        Raises:
            ConnectionError: it cannot be opened, or broke.
            Exception: what opening it was answered.
        """
        await self._line.hop()
        if self._host.listening is None:
            raise Refused("nobody listens")
        process, part = self._host.listening
        broken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        process.asked[broken] = None
        broken.add_done_callback(self._break)
        self._sending = process.spawn(self._send(part))
        try:
            while (chunk := await self._came.get()) is not None:
                await self._line.hop()
                if isinstance(chunk, Exception):
                    raise chunk
                yield chunk
        finally:
            process.asked.pop(broken, None)
            broken.cancel()
            self._sending.cancel()

    def _break(self, broken: "asyncio.Future[None]") -> None:
        if not broken.cancelled() and (error := broken.exception()) is not None:
            while not self._came.empty():
                self._came.get_nowait()
            self._came.put_nowait(ConnectionResetError(str(error)))

    async def _send(self, part: Any) -> None:
        try:
            async with aclosing(self._chunks(part)) as chunks:
                async for chunk in chunks:
                    await self._came.put(chunk)
            await self._came.put(None)
        except Exception as error:
            await self._came.put(error)
