"""One subscriber of the outcome feed: a bounded queue that never makes the feed wait."""

import asyncio
import contextlib
from collections import deque

from funcledger_event_log.records import Token
from funcledger_query_api.landed import Landed
from funcledger_schemas.limits import BODY_LIMIT

#: Most outcomes and bytes that wait for a slow reader; then its stream ends and it comes again.
MAX_ITEMS = 20_000
MAX_BYTES = BODY_LIMIT
#: Most bytes that wait for all readers together, counted once for each of them.
TOTAL_BYTES = 8 * BODY_LIMIT
#: Seconds that a task runs before its reader is told that it does.
BEGUN_PAUSE = 0.1


class Budget:
    """What waits in all subscriptions of a process; beyond ``limit`` bytes somebody has to let go."""

    def __init__(self, limit: int = TOTAL_BYTES) -> None:
        self._limit = limit
        self.held = 0

    @property
    def exceeded(self) -> bool:
        """Whether that has come."""
        return self.held > self._limit


class Subscription:
    """Outcomes that one reader is interested in, in the order of the log.

    ``start`` is the feed's position when it began: every first outcome from there on is offered.
    """

    def __init__(self, start: Token, max_bytes: int = MAX_BYTES, budget: Budget | None = None) -> None:
        self.start = start
        self._budget = budget or Budget()
        #: Set once nothing more will be queued, because the reader is too slow or the feed stops.
        self.closed = False
        #: Tasks that are running and whose reader does not know it yet.
        self._begun: set[str] = set()
        self._tell_at = 0.0
        self._queue: deque[Landed] = deque()
        self._held = 0
        self._max_bytes = max_bytes
        self._woken = asyncio.Event()

    def offer(self, landed: Landed) -> None:
        """Queue an outcome, or close when there is no room for it."""
        self._begun.discard(landed.key[1])
        if self.closed:
            return
        full = len(self._queue) >= MAX_ITEMS or self._held + landed.size > self._max_bytes
        if full and self._queue:
            self.close()
            return
        self._queue.append(landed)
        self._hold(landed.size)
        if landed.first is not None:
            self._woken.set()

    def began(self, task_id: str) -> None:
        """A task has begun; told a little later, for most are over by then."""
        if not self._begun:
            self._tell_at = asyncio.get_running_loop().time() + BEGUN_PAUSE
            self._woken.set()
        self._begun.add(task_id)

    def take_begun(self) -> list[str]:
        """Tasks that have been running for a while, each once; empty when it is not time to tell."""
        if not self._begun or asyncio.get_running_loop().time() < self._tell_at:
            return []
        taken = sorted(self._begun)
        self._begun.clear()
        return taken

    def _hold(self, size: int) -> None:
        self._held += size
        self._budget.held += size

    @property
    def held(self) -> int:
        """Bytes that wait here."""
        return self._held

    def drop(self) -> None:
        """Let go of what is queued, and close: its reader was not sent it, and comes again for it."""
        self._queue.clear()
        self._hold(-self._held)
        self.close()

    def close(self) -> None:
        """Queue no more; what is queued can still be taken."""
        self.closed = True
        self._woken.set()

    def wake(self) -> None:
        """Let the reader look again."""
        self._woken.set()

    def take(self, max_bytes: int) -> list[Landed]:
        """The next outcomes, at least one if there is one, up to about ``max_bytes``.

        Stops before one that is still being checked, so that the order is kept.
        """
        taken: list[Landed] = []
        while self._queue and (first := self._queue[0].first) is not None and max_bytes > 0:
            landed = self._queue.popleft()
            self._hold(-landed.size)
            max_bytes -= landed.size
            if first:
                taken.append(landed)
        return taken

    @property
    def over(self) -> bool:
        """Whether it is closed and nothing is left that can be taken now."""
        return self.closed and not (self._queue and self._queue[0].first is not None)

    async def wait(self, timeout: float) -> bool:
        """Whether there was something to look at within ``timeout`` seconds."""
        if self._begun:
            timeout = min(timeout, max(0.0, self._tell_at - asyncio.get_running_loop().time()))
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout):
                await self._woken.wait()
        woken = self._woken.is_set()
        self._woken.clear()
        return woken or bool(self._begun)
