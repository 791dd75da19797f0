"""An event loop in virtual time: no sockets, no threads, and where nothing is ready, the clock jumps."""

import asyncio
from collections.abc import Callable
from typing import Any


class Stalled(AssertionError):
    """Raised when nothing will ever happen again, and somebody still waits."""


class VirtualLoop(asyncio.BaseEventLoop):
    """Asyncio's own loop over a selector of nothing; equal seeds give equal runs."""

    def __init__(self) -> None:
        super().__init__()
        self._now = 0.0
        # Where the base class would ask the operating system how long to sleep, time passes instead.
        self._selector = self
        self._clock_resolution = 1e-9

    def time(self) -> float:
        """Seconds since the run began."""
        return self._now

    def select(self, timeout: float | None) -> list[Any]:
        """What a selector is asked for: there is never any input, so the next timer's moment comes."""
        if timeout is None:
            raise Stalled("nothing is left to happen, and somebody still waits")
        if timeout > 0:
            scheduled: list[asyncio.TimerHandle] = self._scheduled  # type: ignore[attr-defined]
            self._now = max(self._now, scheduled[0].when())
        return []

    def _process_events(self, _events: list[Any]) -> None:
        """There are none."""

    def _write_to_self(self) -> None:
        """Nobody else could have woken it."""

    def run_in_executor(  # type: ignore[override]
        self, _executor: Any, func: Callable[..., Any], *args: Any
    ) -> asyncio.Future[Any]:
        """What would go to a thread is done at once."""
        future: asyncio.Future[Any] = self.create_future()
        try:
            future.set_result(func(*args))
        except Exception as error:
            future.set_exception(error)
        return future
