"""The port ``Clock``: time, sleep and randomness as the core gets them, so that tests can rule them."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Protocol


class Clock(Protocol):
    """What a process has around it. A simulator gives each process it plays one of its own.

    Timeouts are the event loop's, which has a clock too; a simulator brings a loop of its own.
    """

    def time_ns(self) -> int:
        """Nanoseconds since 1970 UTC, as far as this machine knows; may jump, so never a measure of order."""
        ...

    def monotonic_ns(self) -> int:
        """Nanoseconds since some moment; never goes back, so it measures durations."""
        ...

    def random_bytes(self, size: int, /) -> bytes:
        """Bytes that nobody can foretell."""
        ...

    async def sleep(self, seconds: float, /) -> None:
        """Let others run for so long; 0 gives each of them one turn."""
        ...


class SystemClock:
    """The machine's own; the functions themselves, so that the port costs next to nothing."""

    time_ns = staticmethod(time.time_ns)
    monotonic_ns = staticmethod(time.monotonic_ns)
    random_bytes = staticmethod(os.urandom)

    @staticmethod
    async def sleep(seconds: float, /) -> None:
        """As the port says."""
        # A scientist's process, which never sleeps here, should not have to load it for the sake of ids.
        import asyncio

        await asyncio.sleep(seconds)


_current: ContextVar[Clock] = ContextVar("clock", default=SystemClock())  # noqa: B039  (holds nothing)
#: The clock in force: the machine's own, but for what runs within :func:`running_on`.
current = _current.get


@contextmanager
def running_on(clock: Clock) -> Iterator[None]:
    """In here, and in every task begun in here, this clock is in force."""
    token = _current.set(clock)
    try:
        yield
    finally:
        _current.reset(token)


def micros() -> int:
    """The time as events hold it: microseconds since 1970 UTC."""
    return current().time_ns() // 1000


def millis() -> int:
    """The time as logs and read models hold it: milliseconds since 1970 UTC."""
    return current().time_ns() // 1_000_000


def seconds() -> float:
    """Seconds since some moment, by the clock that never goes back: what durations are measured with."""
    return current().monotonic_ns() / 1e9


async def sleep(seconds: float) -> None:
    """Let others run for so many seconds; 0 gives each of them one turn."""
    await current().sleep(seconds)


def uniform(low: float, high: float) -> float:
    """A random number between the two: for jitter."""
    return low + (high - low) * int.from_bytes(current().random_bytes(7), "big") / 2**56
