"""The runner: follows the log and keeps a store's read models up to date, whatever happens meanwhile."""

import asyncio
import logging
from collections.abc import Callable
from contextlib import aclosing

from tenacity import RetryCallState

from funcledger_event_log.assignment import Assignment, Everything, Share
from funcledger_event_log.patience import retrying
from funcledger_event_log.port import EventLog, LogUnavailable, OutcomeUnknown
from funcledger_event_log.records import Token, TopicPartition
from funcledger_projectors.applier import Applier
from funcledger_projectors.batch import Batch
from funcledger_projectors.dead_letters import DeadLetters
from funcledger_projectors.inbox import Inbox
from funcledger_projectors.pace import Pace
from funcledger_read_models.port import Positions, ReadModelStore, StaleWriter, StoreUnavailable
from funcledger_schemas import clock

_log = logging.getLogger(__name__)

#: The topics that read models are folds of.
TOPICS = ("functions", "endpoints", "tasks", "results", "heartbeats")
#: Records a partition gives before others have their turn: few, so that a batch spans all partitions and
#: a task's submission and outcome are often in the same one, which then writes its documents once.
_TURN = 500
#: With so many records waiting, reading and writing are worth doing at the same time.
_FAR_BEHIND = 1_000
#: What passes by itself; everything else is a reason to stop.
_PASSING = (LogUnavailable, OutcomeUnknown, StoreUnavailable, StaleWriter)


class Projector:
    """Applies every record of :data:`TOPICS` to a store, from where the store stands, without end.

    When the log or the store is unavailable, or another projector was ahead, it starts again from
    the store's positions after a pause that grows. When records are gone before they were read, or
    a fold fails, it stops and says so in :attr:`failed`, because to go on would be to skip.
    """

    def __init__(
        self,
        log: EventLog,
        store: ReadModelStore,
        *,
        consumer: str = "projectors",
        rebuild: bool = False,
        growth_interval: float = 5.0,
        assignment: Assignment | None = None,
        inbox: Callable[[], Inbox] = Inbox,
    ) -> None:
        """``rebuild``: append nothing to the log; ``growth_interval``: seconds between looks for growth.

        ``assignment`` divides the partitions among projectors; without it, this one applies all. ``inbox``
        makes what records gather in.
        """
        self._log = log
        self._assignment = assignment or Everything()
        self._applier = Applier(store, None if rebuild else DeadLetters(log, consumer))
        self._growth_interval = growth_interval
        self._make_inbox = inbox
        self._inbox = inbox()
        self._pace = Pace()
        self._hurried = False
        self._hurrying: asyncio.Task[None] | None = None
        self._task: asyncio.Task[None] | None = None
        self._moved = False
        self._count_at_start = 0
        #: Why it has stopped for good, None while all is well.
        self.failed: Exception | None = None

    async def start(self) -> None:
        """Begin following; does not wait for anything to be applied."""
        await self._assignment.join()
        self._task = asyncio.create_task(self._run_for_ever(), name="projector")

    async def stop(self) -> None:
        """Stop. A save that was under way may still take effect, whole."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None
        await self._assignment.leave()

    @property
    def position(self) -> Token:
        """What has been applied."""
        return Token({TopicPartition(*where): end for where, end in self._applier.positions.items()})

    async def begun(self) -> None:
        """Return once it has begun to follow, which it has when it is started."""

    def hurry(self, wanted: bool) -> None:
        """Whether somebody waits for what is applied: then records do not gather first."""
        self._hurried = wanted
        self._hurrying = asyncio.create_task(self._inbox.hurry(wanted), name="projector: hurry")

    async def ended(self) -> None:
        """Return when it has stopped, for good or because it was told to."""
        if self._task is not None:
            await asyncio.wait([self._task])

    async def lag(self) -> int:
        """How many records of its partitions have not been applied yet."""
        return await records_behind(self._log, self._applier.positions, self._assignment.share)

    async def _run_for_ever(self) -> None:
        try:
            while True:
                await retrying(*_PASSING, first=0.05, most=2.0, say=_say)(self._run)
        except Exception as error:
            _log.exception("the projector has stopped at %s", self.position)
            self.failed = error
            await self._assignment.leave()

    async def _run(self) -> None:
        """Apply our share until it changes, there are new partitions, or something passing went wrong.

        Raises what went wrong only if nothing was applied before it, so that pauses grow only then.
        """
        async with self._assignment.hold() as share:
            await self._apply_share(share)

    async def _apply_share(self, share: Share) -> None:
        self._moved = False
        await self._applier.reload()
        inbox = self._inbox = self._make_inbox()
        await inbox.hurry(self._hurried)
        start = await self._where_to_start(share)
        helpers = [
            asyncio.create_task(self._read(inbox, start)),
            asyncio.create_task(self._watch(inbox)),
            asyncio.create_task(_give_back(inbox, share)),
        ]
        try:
            await self._apply_all(inbox, share)
        except _PASSING as error:
            if not self._moved:
                raise
            _log.warning("the projector begins anew where the store stands: %s", error)
        finally:
            for helper in helpers:
                helper.cancel()
            await asyncio.gather(*helpers, return_exceptions=True)

    async def _apply_all(self, inbox: Inbox, share: Share) -> None:
        ahead: asyncio.Task[Batch | None] | None = None
        pause = 0.0
        try:
            while (
                batch := await (ahead or self._next(inbox, pause))
            ) is not None and not share.over.is_set():
                began = clock.seconds()
                try:
                    changed = await self._applier.fold(batch)
                    # Far behind, the next batch is read while this one is written; else it may still grow.
                    ahead = asyncio.create_task(self._next(inbox)) if len(inbox) > _FAR_BEHIND else None
                    folded = clock.seconds()
                    await self._applier.save(batch, changed)
                except StoreUnavailable:
                    self._pace.failed(batch.records)
                    raise
                # As long as a save takes, let records gather for the next: a slow store is asked less often.
                pause = clock.seconds() - folded
                self._pace.took(batch.records, clock.seconds() - began)
                self._moved = True
        finally:
            if ahead is not None:
                ahead.cancel()
                await asyncio.gather(ahead, return_exceptions=True)

    async def _next(self, inbox: Inbox, pause: float = 0.0) -> Batch | None:
        records = await inbox.take(self._pace.records, pause)
        return await self._applier.prepare(records) if records else None

    async def _where_to_start(self, share: Share) -> dict[TopicPartition, int]:
        self._count_at_start = await self._count()
        start = {}
        for topic in TOPICS:
            for partition, lowest in (await self._log.starts(topic)).items():
                if partition not in share:
                    continue
                at = self._applier.positions.get((topic, partition), lowest)
                # Of an endpoint's heartbeats only the newest counts, so those that expired are not missed.
                start[TopicPartition(topic, partition)] = max(at, lowest) if topic == "heartbeats" else at
        return start

    async def _read(self, inbox: Inbox, start: dict[TopicPartition, int]) -> None:
        try:
            async with aclosing(self._log.follow(start, max_records=_TURN)) as batches:
                async for batch in batches:
                    await inbox.put(batch)
        except Exception as error:
            await inbox.close(error)

    async def _watch(self, inbox: Inbox) -> None:
        """End the inbox when a topic has grown."""
        try:
            while await self._count() == self._count_at_start:
                await clock.sleep(self._growth_interval)
            await inbox.close()
        except Exception as error:
            await inbox.close(error)

    async def _count(self) -> int:
        return sum([await self._log.partitions(topic) for topic in TOPICS])


async def records_behind(log: EventLog, positions: Positions, share: Share | None = None) -> int:
    """How many records lie behind these positions, in a share of the partitions or in all of them."""
    lag = 0
    for topic in TOPICS:
        starts = await log.starts(topic)
        for partition, end in (await log.ends(topic)).items():
            if share is None or partition in share:
                lag += max(0, end - max(positions.get((topic, partition), 0), starts[partition]))
    return lag


async def _give_back(inbox: Inbox, share: Share) -> None:
    """End the inbox when our share changes; what lies in it is for whoever has the partition then."""
    await share.over.wait()
    await inbox.close()


def _say(state: RetryCallState) -> None:
    cause = state.outcome.exception() if state.outcome else None
    _log.warning("the projector pauses, attempt %d: %s", state.attempt_number, cause)
