"""How old the answers are: whether the read models keep up with the log, and up to when they surely do."""

import asyncio
import contextlib
import logging
from collections import deque
from typing import Any, NamedTuple

from funcledger_event_log.log_time import LogTime
from funcledger_event_log.port import EventLog, LogError
from funcledger_event_log.present import present
from funcledger_event_log.records import Token
from funcledger_query_api.progress import Progress
from funcledger_read_models.port import StoreError
from funcledger_schemas import clock

_log = logging.getLogger(__name__)

#: Seconds between looks.
INTERVAL = 1.0
#: Read models that have not passed within so many seconds what was on the log are stale.
STALE_AFTER = 5.0
#: So many looks at the log are remembered while the read models have not come so far.
_MARKS = 8
#: What an answer is made of. Heartbeats come all the time and say nothing of who is behind.
_TOPICS = ("functions", "endpoints", "tasks", "results")


class _Mark(NamedTuple):
    """The log's ends, and when they were taken: by the log's time in ms, and by a clock that never jumps."""

    ends: Token
    at: int
    taken: float


class Freshness:
    """Looks every second; queries ask it and wait for nothing (FAULTS 15 and 21).

    ``as_of`` is a time, in milliseconds since 1970: all that was on the log by then is in the read models.
    It is the log's time, and this machine's only while the log has not told its own (FAULTS 18).
    """

    def __init__(self, log: EventLog, progress: Progress) -> None:
        self._log = log
        self._progress = progress
        self._time = LogTime(log.time, INTERVAL)
        #: Ends of the log that the read models have to pass, oldest first.
        self._marks: deque[_Mark] = deque()
        self._fresh = clock.seconds()
        self._looking: asyncio.Task[None] | None = None
        self.as_of: int | None = None

    @property
    def stale(self) -> bool:
        """Whether the read models have stopped to keep up, or cannot be asked."""
        return clock.seconds() - self._fresh > STALE_AFTER

    def warning(self) -> dict[str, Any]:
        """What an answer says beside itself: nothing, as long as the read models keep up."""
        return {"as_of": self.as_of, "stale": True} if self.stale else {}

    def now(self) -> int:
        """The log's time in ms, carried on from when it last told."""
        known = self._time.last()
        return clock.millis() if known is None else known

    async def _hear(self) -> int:
        try:
            return await self._time.now()
        except LogError as error:
            _log.debug("the log does not tell the time: %s", error)
            return self.now()

    async def start(self) -> None:
        """Begin to look, and to know the log's time."""
        await self._hear()
        self._looking = asyncio.create_task(self._look_for_ever(), name="read models' freshness")

    async def stop(self) -> None:
        """Look no more."""
        if self._looking is not None:
            self._looking.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._looking

    async def _look_for_ever(self) -> None:
        told = False
        while True:
            try:
                await self.look()
            except (LogError, StoreError) as error:
                _log.debug("how old the read models are cannot be told: %s", error)
            if self.stale is not told:
                told = self.stale
                _log.warning("the read models %s", "are stale" if told else "keep up again")
            await clock.sleep(INTERVAL)

    async def look(self) -> None:
        """See whether the read models have come to where the log is, or was at an earlier look.

        Raises:
            LogError, StoreError: it cannot be seen.
        """
        if len(self._marks) < _MARKS:
            at, taken = await self._hear(), clock.seconds()
            self._marks.append(_Mark(await present(self._log, _TOPICS), at, taken))
        await self._progress.now()
        while self._marks and not self._progress.lag(self._marks[0].ends):
            _, self.as_of, self._fresh = self._marks.popleft()
