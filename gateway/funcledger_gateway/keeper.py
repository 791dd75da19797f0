"""The keeper ends tasks whose endpoint is away: cancelled when asked, expired after their deadline."""

import asyncio
import contextlib
import logging
from collections.abc import Collection
from typing import cast

from funcledger_event_log.port import EventLog, LogError
from funcledger_event_log.records import NewRecord
from funcledger_gateway.endings import ending
from funcledger_read_models.documents import ENDPOINT_HEALTH, TASK_STATUS, EndpointHealth, TaskStatus
from funcledger_read_models.liveness import OFFLINE_AFTER, is_online
from funcledger_read_models.port import ReadModelStore, StoreError
from funcledger_schemas import clock

_log = logging.getLogger(__name__)

#: Seconds between rounds: at least, and at most where rounds take long.
INTERVAL, LONGEST = 1.0, 15.0
#: Of its time a keeper is no more than this part at a round, so that one by a database that has to search is
#: no load to it. How soon a task whose endpoint is away ends is no matter of seconds.
_PART = 0.05
#: Documents looked at in one round, and the most that a round grows to.
_PAGE, _MOST = 1000, 64_000


class Keeper:
    """Looks after the tasks of endpoints that have no live agent; a live one ends its tasks itself.

    It holds nothing that matters: whatever it is stopped by, the next round does the rest, and an event
    appended twice is a copy (law 3). Where an agent was quicker after all, the first outcome stands.
    """

    def __init__(self, log: EventLog, store: ReadModelStore, *, interval: float = INTERVAL) -> None:
        self._log = log
        self._store = store
        self._interval = interval
        self._limit = _PAGE
        #: Ends that the read models have to pass, and when they were taken.
        self._ends: dict[tuple[str, int], int] | None = None
        self._ends_at = 0
        self._began: int | None = None
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin to look, at once and then every interval."""
        self._task = asyncio.create_task(self._run(), name="keeper")

    async def stop(self) -> None:
        """Stop; a round under way is given up, and the next keeper does it again."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def _run(self) -> None:
        while True:
            begun = clock.seconds()
            try:
                await self.round()
            except (LogError, StoreError) as error:
                _log.warning("the keeper could not do its round, and tries again: %s", error)
            except Exception:
                _log.exception("the keeper's round failed; it tries again")
            took = clock.seconds() - begun
            await clock.sleep(max(self._interval, min(took / _PART, LONGEST)))

    async def round(self) -> int:
        """End what has to be ended now; how many tasks that were.

        Raises:
            LogError, StoreError: some may have been ended, none where the log does not tell the time; the
                next round ends the others.
        """
        # Deadlines are append times, so this machine's clock has no say in them (FAULTS 18).
        now = await self._log.time()
        self._began = self._began or now
        as_of = await self._as_of(now)
        if as_of is None:
            return 0
        due = cast("list[TaskStatus]", await self._store.due(TASK_STATUS, now, self._limit))
        away = await self._away({task.endpoint_id for task in due}, as_of)
        orphans = [task for task in due if task.endpoint_id in away and self._silent(task, now)]
        full = len(due) == self._limit
        # Tasks of live endpoints may fill a page for long; those behind them must have their turn.
        self._limit = min(2 * self._limit, _MOST) if full and not orphans else _PAGE
        if orphans:
            await self._log.append([NewRecord.of(ending(task), away[task.endpoint_id]) for task in orphans])
            _log.info("the keeper has ended %d tasks of endpoints without an agent", len(orphans))
        return len(orphans)

    def _silent(self, task: TaskStatus, now: int) -> bool:
        """Whether the task's agent has had time to be heard: not while the gateway itself was down."""
        return not task.running or now - (self._began or now) > OFFLINE_AFTER

    async def _away(self, endpoints: Collection[str], as_of: int) -> dict[str, int]:
        """Those of these endpoints that had no live agent then, with their partitions."""
        keys = [(endpoint_id,) for endpoint_id in endpoints]
        found = (await self._store.load({ENDPOINT_HEALTH: keys})).get(ENDPOINT_HEALTH, {})
        health = [each for each in found.values() if isinstance(each, EndpointHealth)]
        return {
            each.endpoint_id: each.partition
            for each in health
            if each.partition is not None and not is_online(each, as_of)
        }

    async def _as_of(self, now: int) -> int | None:
        """A time up to which the read models hold every outcome and sign of life; None when too long ago.

        Were they believed as they are, all endpoints would look dead to a keeper behind a slow projector,
        and its own outcomes would be missing in the next round.
        """
        if self._ends is None:
            self._ends, self._ends_at = await self._ends_now(), now
        positions = await self._store.positions()
        if any(positions.get(where, 0) < end for where, end in self._ends.items()):
            return None
        self._ends = None
        return self._ends_at if 0 <= now - self._ends_at < OFFLINE_AFTER else None

    async def _ends_now(self) -> dict[tuple[str, int], int]:
        return {
            (topic, partition): end
            for topic in ("results", "heartbeats")
            for partition, end in (await self._log.ends(topic)).items()
        }
