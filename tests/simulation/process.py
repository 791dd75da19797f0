"""A simulated process: tasks under a clock and dice of its own, which end all at once, as by SIGKILL."""

import asyncio
import contextvars
from collections.abc import Coroutine
from contextvars import ContextVar
from random import Random
from typing import Any, TypeVar

from funcledger_schemas import clock

T = TypeVar("T")
#: When runs begin, in nanoseconds since 1970: any fixed moment.
BEGINNING = 1_800_000_000 * 10**9

_current: ContextVar["Process | None"] = ContextVar("process", default=None)


class Killed(asyncio.CancelledError):
    """What a dead process meets wherever it would touch the world."""


class SimClock:
    """``Clock`` in virtual time, some seconds off, with dice that fall by the seed."""

    def __init__(self, loop: asyncio.AbstractEventLoop, dice: Random) -> None:
        self._loop, self._skew = loop, 0
        self.dice = dice

    def skew(self, seconds: float) -> None:
        """Set the wall clock so far off."""
        self._skew = round(seconds * 1e9)

    def time_ns(self) -> int:
        return BEGINNING + self._skew + round(self._loop.time() * 1e9)

    def monotonic_ns(self) -> int:
        return round(self._loop.time() * 1e9)

    def random_bytes(self, size: int, /) -> bytes:
        return self.dice.randbytes(size)

    async def sleep(self, seconds: float, /) -> None:
        await asyncio.sleep(seconds)


class Process:
    """One life of a part. ``dice`` are for what the world does to it, its clock's for what it asks itself."""

    def __init__(self, loop: asyncio.AbstractEventLoop, name: str, seed: str) -> None:
        self.name = name
        self.alive = True
        self.dice = Random(f"{seed}/{name}")
        self.clock = SimClock(loop, Random(f"{seed}/{name}/own"))
        self._loop = loop
        self._tasks: list[asyncio.Task[Any]] = []
        #: Those who wait for an answer from it.
        self.asked: dict[asyncio.Future[Any], None] = {}
        self._context = contextvars.copy_context()
        self._context.run(_current.set, self)
        self._context.run(clock._current.set, self.clock)

    def spawn(self, coroutine: Coroutine[Any, Any, T]) -> "asyncio.Task[T]":
        """Run this within the process."""
        return self._loop.create_task(coroutine, context=self._context.copy())

    def kill(self) -> None:
        """End at once: nothing it still does has any effect."""
        self.alive = False
        for task in self._tasks:
            if not task.done():
                task.cancel()
        for future in self.asked:
            if not future.done():
                future.set_exception(ConnectionResetError(f"{self.name} is gone"))
        self.asked.clear()

    def check(self) -> None:
        """Raise where a dead process would go on."""
        if not self.alive:
            raise Killed

    def took(self, task: "asyncio.Task[Any]") -> None:
        """The task was begun within."""
        self._tasks.append(task)
        if not self.alive:
            task.cancel()


def of_process(
    loop: asyncio.AbstractEventLoop, coroutine: Any, context: contextvars.Context | None = None
) -> "asyncio.Task[Any]":
    """A task factory that tells the process a task belongs to."""
    process = context.get(_current) if context is not None else _current.get()
    task = asyncio.Task(coroutine, loop=loop, context=context)
    if process is not None:
        process.took(task)
    return task
