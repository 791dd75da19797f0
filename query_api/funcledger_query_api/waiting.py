"""Waits for the outcomes of named tasks: from the log as they land, from the read models what was before."""

import asyncio
import logging
from collections.abc import Collection, Iterable

from funcledger_event_log.present import present
from funcledger_event_log.records import Token
from funcledger_query_api.landed import Landed
from funcledger_query_api.lookup import tasks_of
from funcledger_query_api.queries import CERTAIN, PATIENCE, Queries
from funcledger_query_api.subscription import Subscription
from funcledger_read_models.documents import TaskStatus
from funcledger_schemas.lifecycle import Status
from funcledger_schemas.limits import BODY_LIMIT
from funcledger_web.problems import Problem

_log = logging.getLogger(__name__)

#: Bytes of payloads and tracebacks in one answer, beyond its first result.
ANSWER_BYTES = BODY_LIMIT - 1024 * 1024
#: Seconds that most of what is waited for lands in, and after which whoever keeps the read models is hurried.
_SOON, _PATIENT = 0.2, 1.0


class TaskWait:
    """What becomes known of some tasks of one owner.

    Each task has ``documents[task_id]`` (as the read models know it), or :meth:`landed` (its outcome,
    straight from the log), or both; or neither: then it is unknown, or still to be read.
    """

    def __init__(self, queries: Queries, owner: str, ids: Collection[str]) -> None:
        self._queries, self._owner = queries, owner
        self._ids = list(dict.fromkeys(ids))
        self._open = set(self._ids)
        self._landed: dict[str, dict[str, Landed]] = {}
        self._room = ANSWER_BYTES
        self.documents: dict[str, TaskStatus] = {}
        #: Whether the read models were read; until then a task not there may still exist.
        self.read = False
        #: Whether all that was submitted when the wait began was read.
        self._complete = False

    def landed(self, task_id: str) -> Landed | None:
        """The task's outcome from the log; with an id on two endpoints, that of the one submitted first.

        As long as the read models do not know which that is, it is the one that landed first.
        """
        found = self._landed.get(task_id, {})
        document = self.documents.get(task_id)
        return found.get(document.endpoint_id) if document else next(iter(found.values()), None)

    async def settle(self, seen: Token, wait: float) -> None:
        """Return as soon as every task is finished or known not to exist, or ``wait`` seconds are over.

        Also as soon as more has landed than an answer can hold; the client asks again for the rest.

        Raises:
            Problem: the read models are behind ``seen``, and not every task has landed meanwhile.
        """
        loop = asyncio.get_running_loop()
        end = loop.time() + wait
        wanted = self._ids if wait else []
        with self._queries.feed.subscribe(self._owner, tasks=wanted, max_bytes=2 * ANSWER_BYTES) as live:
            self._recall(wanted)
            if not self._open:
                return
            reading = asyncio.create_task(self._read_all(seen, live, end), name="task wait: state")
            reading.add_done_callback(lambda _: live.wake())
            try:
                while self._open and not live.over and self._room > 0 and (left := end - loop.time()) > 0:
                    await live.wait(left)
                    self._take(live)
                if self._open and (reading.done() or not self.read):
                    await self._finish(reading, seen, 2 * PATIENCE if live.over else None)
            finally:
                await _dismiss(reading)
            # Who does not wait is told, too, what has landed and the read models do not know yet.
            self._recall(list(self._open))

    def _recall(self, ids: Iterable[str]) -> None:
        """Take what has landed just before; what the read models know by now they tell with all there is."""
        known, recent = self._queries.progress.known, self._queries.feed.recent
        for task_id in ids:
            for landed in recent.of(self._owner, task_id):
                if self._room <= 0:
                    return
                if landed.offset >= known(landed.where):
                    self._land(landed)

    async def _finish(self, reading: asyncio.Task[None], seen: Token, timeout: float | None) -> None:
        try:
            async with asyncio.timeout(timeout):
                await reading
        except TimeoutError:
            raise self._queries.behind(seen) from None

    def _take(self, live: Subscription) -> None:
        for landed in live.take(self._room):
            self._land(landed)

    def _land(self, landed: Landed) -> None:
        event = landed.event
        self._room -= landed.size
        self._landed.setdefault(event.task_id, {})[event.endpoint_id] = landed
        if self.landed(event.task_id):
            self._open.discard(event.task_id)

    async def _read_all(self, seen: Token, live: Subscription, end: float) -> None:
        """Read what the client may see, and what was open then once more when the read models know it all."""
        progress, now = self._queries.progress, asyncio.get_running_loop().time
        if end > now() and not await progress.passed(seen, min(_SOON, end - now()), patient=_PATIENT):
            # What has ended before has ended for good, whether or not all that the client has seen is known.
            await self._read_outcomes(live)
        # Outcomes land here by themselves, most of them sooner than read models would tell.
        patient = _PATIENT if end > now() else 0.0
        if not await progress.passed(seen, max(end - now(), PATIENCE), patient=patient):
            raise self._queries.behind(seen)
        before, complete = live.start, not progress.lag(live.start)
        await self._read(live)
        if any(each not in self.documents for each in self._open):
            # They may have been submitted, and no projector have come to them yet.
            before, complete = before.merge(await present(self._queries.log, ["tasks"])), False
            if end <= now() and await progress.passed(before, CERTAIN):
                await self._read(live)
        while self._open and not complete and end > now():
            complete = self._complete = await progress.passed(before, end - now(), patient=_PATIENT)
            await self._read(live)

    async def _read_outcomes(self, live: Subscription) -> None:
        wanted = [each for each in self._ids if each in self._open]
        found = await tasks_of(self._queries.store, self._owner, wanted)
        self.documents.update({each: task for each, task in found.items() if Status(task.status).finished})
        self._look(live)

    async def _read(self, live: Subscription) -> None:
        wanted = [each for each in self._ids if each in self._open]
        self.documents.update(await tasks_of(self._queries.store, self._owner, wanted))
        self.read = True
        self._look(live)

    def _look(self, live: Subscription) -> None:
        self._open = {each for each in self._ids if not self._settled(each)}
        live.wake()

    def _settled(self, task_id: str) -> bool:
        document = self.documents.get(task_id)
        if self.landed(task_id) is not None:
            return True
        return self._complete if document is None else Status(document.status).finished


async def _dismiss(reading: asyncio.Task[None]) -> None:
    """Stop reading; a failure no longer matters to the answer, but it is told."""
    reading.cancel()
    (error,) = await asyncio.gather(reading, return_exceptions=True)
    if isinstance(error, Exception) and not isinstance(error, Problem):
        _log.warning("reading the state of tasks failed: %r", error)
