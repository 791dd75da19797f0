"""A log's time where asking for it costs something: asked now and then, carried on by the monotonic clock."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import NamedTuple

from funcledger_schemas import clock

#: Seconds after which it is asked anew: a clock that was set, or another broker's, is noticed by then.
GOOD_FOR = 60.0


class _Heard(NamedTuple):
    """A time of the log, and the monotonic clock's (ms) when the answer was there: it was not earlier."""

    time: int
    at: float

    def carried(self) -> int:
        return self.time + int(_millis() - self.at)


class LogTime:
    """Never ahead of the log's own clock, whatever this machine's wall clock says (FAULTS 18).

    ``ask`` gives the log's time in ms; what it raises, :meth:`now` raises.
    """

    def __init__(self, ask: Callable[[], Awaitable[int]], good_for: float = GOOD_FOR) -> None:
        self._ask = ask
        self._good_for = good_for * 1000
        self._heard: _Heard | None = None
        self._turn = asyncio.Lock()

    async def now(self) -> int:
        """The log's time in ms, asked for unless what is known is recent."""
        async with self._turn:  # who comes meanwhile has the same answer
            if self._heard is None or _millis() - self._heard.at >= self._good_for:
                self._heard = _Heard(await self._ask(), _millis())
            return self._heard.carried()

    def last(self) -> int | None:
        """The same without asking, however long ago it was heard; None when it never was."""
        return None if self._heard is None else self._heard.carried()


def _millis() -> float:
    return clock.current().monotonic_ns() / 1e6
