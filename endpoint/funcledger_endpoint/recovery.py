"""What a starting agent learns from the log alone, and how it takes the endpoint over (laws 6 and 7)."""

import logging
from collections.abc import Callable
from functools import partial
from sys import intern

import msgspec

from funcledger_endpoint.clock import LogClock
from funcledger_endpoint.deaths import Deaths
from funcledger_endpoint.patience import patiently
from funcledger_endpoint.progress import Mark
from funcledger_endpoint.task import About
from funcledger_event_log.endpoint_port import EndpointLog, Fenced
from funcledger_event_log.port import Committed, PositionGone
from funcledger_event_log.records import DecodeError, Record
from funcledger_schemas.events import EndpointStarted, Event, TaskEvent
from funcledger_schemas.lifecycle import NO_EPOCH, Epochs, Life, OfTask, advance

_log = logging.getLogger(__name__)
_BEGINNING = Mark(0, NO_EPOCH)


class Recovery:
    """Reads the endpoint's own results from the last commit on: attempts, outcomes, and epochs.

    Afterwards ``tasks`` is where to follow tasks from, ``epoch`` this agent's own, ``end`` how far
    results were read, ``lives`` what they say of each submission, and ``deaths`` what of earlier agents.
    """

    def __init__(self, log: EndpointLog, endpoint_id: str, clock: LogClock) -> None:
        self._log, self._endpoint_id, self._clock = log, endpoint_id, clock
        self.tasks = 0
        self.mark = _BEGINNING
        self.end = 0
        self.epoch = NO_EPOCH
        self.lives: dict[About, Life] = {}
        self.deaths = Deaths(endpoint_id)
        self._epochs = Epochs()

    @property
    def epochs(self) -> list[int]:
        """The epochs seen, rising; the last is this agent's own."""
        return self._epochs.known.get(self._endpoint_id, [])

    async def take_over(self, start: Callable[[int], EndpointStarted]) -> None:
        """Read all there is, then start an epoch; ``start`` makes the event, given what it supersedes."""
        self._begin_at(await patiently("reading the position", self._log.committed))
        while self.epoch == NO_EPOCH:
            await patiently("reading results", self._read_to_end)
            event = start(self._epochs.current(self._endpoint_id))
            try:
                (offset,) = await patiently("starting an epoch", partial(self._log.append, [event]))
            except Fenced as error:
                _log.warning("another agent started at the same moment (%s); trying again", error)
                continue
            await patiently("reading results", partial(self._read, offset + 1))
            if self._epochs.current(self._endpoint_id) == offset:
                self.epoch = offset

    def _begin_at(self, committed: Committed | None) -> None:
        if committed is None:
            return
        try:
            self.mark = msgspec.json.decode(committed.metadata, type=Mark)
        except msgspec.DecodeError:
            _log.warning("the position's metadata %r cannot be read: starting over", committed.metadata)
            return
        self.tasks, self.end = committed.offset, self.mark.results
        if self.mark.epoch != NO_EPOCH:
            self._epochs.known[self._endpoint_id] = [self.mark.epoch]
            self.deaths.begin_after(epoch_in_force=True)

    async def _read_to_end(self) -> None:
        _, end = await self._log.ends()
        try:
            await self._read(end)
        except PositionGone:
            _log.warning("results from %d on are no longer kept: reading what there is", self.end)
            self.mark, self.tasks, self.end = _BEGINNING, 0, 0
            await self._read(end)

    async def _read(self, end: int) -> None:
        """Fold results up to ``end``; what was read before a cut is not read again."""
        if self.end >= end:
            return
        async for batch in self._log.read_results(self.end, end):
            for record in batch:
                self._clock.note(record.timestamp)
                try:
                    event = record.event()
                except DecodeError as error:
                    _log.warning("results at %d cannot be read: %s", record.offset, error)
                    continue
                if self._epochs.admit(record.offset, event):
                    self._fold(record, event)
            if batch:
                self.end = batch[-1].offset + 1
        self.end = end

    def _fold(self, record: Record, event: Event) -> None:
        if not isinstance(event, TaskEvent):
            self.deaths.note(record.timestamp, event)
            return
        if event.endpoint_id != self._endpoint_id or not isinstance(event, OfTask):
            return
        about = (intern(event.owner), event.task_id, intern(event.batch_id), event.submission)
        life = self.lives.setdefault(about, Life())
        if advance(life, record.offset, event):
            self.deaths.follow(about, life, event)
