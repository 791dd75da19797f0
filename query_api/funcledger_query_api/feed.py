"""Follows ``tasks`` and ``results``: hands every task's first outcome to those who wait for it, at once."""

from collections.abc import AsyncIterator, Collection
from contextlib import AbstractContextManager

from funcledger_event_log.follower import Tail
from funcledger_event_log.port import EventLog
from funcledger_event_log.records import Record, Token, TopicPartition
from funcledger_event_log.submissions import SubmissionMemory
from funcledger_query_api.copies import Copies
from funcledger_query_api.doubts import Doubts
from funcledger_query_api.landed import Landed
from funcledger_query_api.progress import Progress
from funcledger_query_api.readers import Readers
from funcledger_query_api.recent import RecentOutcomes
from funcledger_query_api.subscription import MAX_BYTES, TOTAL_BYTES, Subscription
from funcledger_read_models.documents import (
    ENDPOINT_HEALTH,
    TASK_STATUS,
    Document,
    EndpointHealth,
    Key,
    Model,
    TaskStatus,
)
from funcledger_read_models.port import ReadModelStore
from funcledger_schemas import clock, tracing
from funcledger_schemas.events import EndpointStarted, TaskStarted
from funcledger_schemas.lifecycle import OUTCOME_CLASSES, OUTCOMES, Epochs, Outcome
from funcledger_schemas.recent_tasks import RecentTasks

#: Finished tasks remembered, so that a second outcome is known for one.
REMEMBERED = 100_000
#: Bytes of the newest outcomes that are kept for those who ask before the read models know them.
RECENT_BYTES = 32 << 20
_DECODED = OUTCOMES | {"EndpointStarted"}
_TOPICS = ("tasks", "results")
_PAGE = 1000


class OutcomeFeed:
    """The outcomes of all tasks, through the one life-cycle rule: void ones and second ones never show.

    Nor does one of a task that was not submitted so: to this endpoint, by this owner, in this batch. What was
    submitted lately is remembered; of what is not, the read models are asked, and it is nobody's outcome
    until they have told.

    A task that begins after this process started, and has not ended since, is known to have no earlier
    outcome: its outcome is handed on straight from the log. Of any other the read models are asked first.
    An agent that begins a task which had ended before this process started would break that knowledge; law
    6 has agents learn what is finished before they begin anything. A start that stood on the log before is
    no such knowledge: its task may have been cancelled in the meantime, where nobody here saw it. Nor is a
    start that may be a copy of one that stood there.
    """

    def __init__(
        self,
        log: EventLog,
        store: ReadModelStore,
        progress: Progress,
        submitted: SubmissionMemory | None = None,
        *,
        remembered: int = REMEMBERED,
        total_bytes: int = TOTAL_BYTES,
        recent_bytes: int = RECENT_BYTES,
    ) -> None:
        self._log, self._store = log, store
        self._doubts = Doubts(log, store, progress, self._settle)
        self._submitted = submitted or SubmissionMemory()
        #: Tasks of which something was read that may be no outcome, and where; the models tell of the next.
        self._unsure: dict[Key, int] = {}
        self._unsure_ends = Token()
        self._epochs = Epochs()
        self._begun: set[Key] = set()
        self._finished = RecentTasks(remembered)
        #: Outcomes that landed lately, for those who come for them only now.
        self.recent = RecentOutcomes(recent_bytes)
        self._remembered = remembered
        self._ends: dict[int, int] = {}
        self._begins_at: dict[int, int] = {}
        self._copies = Copies()
        self._forgotten_next = Token()
        self._readers = Readers(total_bytes)
        self._tail: Tail | None = None

    async def start(self) -> None:
        """Begin where the read models stand; returns once caught up with the log's end.

        Raises:
            StoreUnavailable, LogUnavailable: try again later.
        """
        positions = await self._store.positions()
        async for health in _every(self._store, ENDPOINT_HEALTH):
            assert isinstance(health, EndpointHealth)
            self._epochs.known[health.endpoint_id] = list(health.epochs)
        async for task in _every(self._store, TASK_STATUS, status="running"):
            assert isinstance(task, TaskStatus)
            self._begin((task.owner, task.task_id, task.endpoint_id))
        start = {TopicPartition(*where): end for where, end in positions.items() if where[0] in _TOPICS}
        self._begins_at = await self._log.ends("results")
        self._tail = Tail(self._log, _TOPICS, self._apply, start=start, name="outcome feed")
        await self._tail.start()

    @property
    def position(self) -> Token:
        """What has been handed on of ``results``."""
        ends = self._tail.position.ends if self._tail else {}
        return Token({where: end for where, end in ends.items() if where.topic == "results"})

    @property
    def failed(self) -> Exception | None:
        """Why it has stopped for good, None while all is well."""
        return self._tail.failed if self._tail else None

    def subscribe(
        self,
        owner: str,
        *,
        batches: Collection[str] = (),
        tasks: Collection[str] = (),
        max_bytes: int = MAX_BYTES,
    ) -> AbstractContextManager[Subscription]:
        """The first outcomes from now on of an owner's tasks, by batch id or by task id."""
        return self._readers.joined(self.position, owner, batches, tasks, max_bytes)

    def resubscribe(
        self, live: Subscription, owner: str, add: Collection[str], remove: Collection[str] = ()
    ) -> Token:
        """Add batches to an open subscription, and take others from it.

        Gives the position from which on every first outcome of those that are added is offered.
        """
        self._readers.change(live, owner, add, remove)
        return self.position

    @property
    def subscribers(self) -> int:
        """How many read just now."""
        return len(self._readers)

    def close_streams(self) -> None:
        """End every stream and wait, now and from now on: the server is going down."""
        self._readers.close()

    async def stop(self) -> None:
        """Stop following."""
        self.close_streams()
        await self._doubts.stop()
        if self._tail is not None:
            await self._tail.stop()

    def _apply(self, records: list[Record]) -> None:
        # Most tasks begin and end within a batch, and of those nobody need be told that they have begun.
        begun: dict[Key, Record] = {}
        self._submitted.note([record for record in records if record.topic == "tasks"])
        for record in records:
            kind = record.type
            if kind == "TaskStarted":
                if self._is_new(record):
                    begun[_key(record)] = record
            elif kind in _DECODED:
                self._consider(record, begun)
        for key, record in begun.items():
            self._note_begun(key, record)

    def _note_begun(self, key: Key, record: Record) -> None:
        event = record.event_if_readable()
        if not isinstance(event, TaskStarted) or self._submitted.offset(event) is None:
            return
        if self._has_finished(key):
            return
        if not self._copies.possible(record):
            self._begin(key)
        for reader in self._readers.of_batch(key[0], event.batch_id):
            reader.began(key[1])

    def _is_new(self, record: Record) -> bool:
        """Whether it was appended after this process began to read."""
        return record.offset >= self._begins_at.get(record.partition, 0)

    def _begin(self, key: Key) -> None:
        if len(self._begun) >= self._remembered:
            self._begun.clear()  # what is forgotten here costs a question to the read models, no more
        self._begun.add(key)

    def _consider(self, record: Record, begun: dict[Key, Record]) -> None:
        event = record.event_if_readable()
        if event is None or not self._epochs.admit(record.offset, event):
            return
        if isinstance(event, EndpointStarted):
            if self._is_new(record):
                self._copies.begun_anew(record.key)
            return
        assert isinstance(event, OUTCOME_CLASSES)
        key = (event.owner, event.task_id, event.endpoint_id)
        just_now = begun.pop(key, None)
        if self._has_finished(key):
            return
        submitted = key not in self._unsure and self._was_submitted(event)
        landed = Landed(key, record.partition, record.offset, record.timestamp, event, None, submitted)
        if not submitted:
            self._doubt(landed)
        else:
            self._land(landed, record, just_now)

    def _was_submitted(self, event: Outcome) -> bool:
        """Whether its submission was read here; if not, it may still stand on the log."""
        offset = self._submitted.offset(event)
        return offset is not None and event.submission in (None, offset)

    def _land(self, landed: Landed, record: Record, begun: Record | None) -> None:
        key, event = landed.key, landed.event
        self._finish(landed)
        if (spans := tracing.spans) is not None and self._is_new(record):
            spans.hop("answer", [event.task_id], record.timestamp * 1_000_000, clock.current().time_ns())
        sure = key in self._begun or (begun is not None and not self._copies.possible(begun))
        first = landed.first = sure or None
        self._begun.discard(key)
        readers = self._readers.of(event)
        if readers or first:
            if first:
                self.recent.add(landed)
            self._readers.offer(landed, readers)
            if first is None:
                self._doubts.ask(landed, readers)

    def _doubt(self, landed: Landed) -> None:
        """Hand on what only the read models can tell to be an outcome, once they have."""
        key, where = landed.key, landed.where
        self._begun.discard(key)
        if (before := self._unsure.get(key)) is not None:
            self._doubts.forgotten.advance(where, before + 1)
        elif len(self._unsure) >= self._remembered:
            self._doubts.forgotten = self._doubts.forgotten.merge(self._unsure_ends)
            self._unsure.clear()
        self._unsure[key] = landed.offset
        self._unsure_ends.advance(where, landed.offset + 1)
        if readers := self._readers.of(landed.event):
            self._readers.offer(landed, readers)
            self._doubts.ask(landed, readers)

    def _settle(self, landed: Landed) -> None:
        """The outcome turned out to be its task's first."""
        if not self._has_finished(landed.key):
            self._finish(landed)

    def _has_finished(self, key: Key) -> bool:
        return self._finished.has((key[0], key[2]), key[1])

    def _finish(self, landed: Landed) -> None:
        key = landed.key
        self._ends[landed.partition] = max(self._ends.get(landed.partition, 0), landed.offset + 1)
        if self._finished.add((key[0], key[2]), key[1]):
            self._doubts.forgotten = self._doubts.forgotten.merge(self._forgotten_next)
            self._forgotten_next = Token(
                {TopicPartition("results", partition): end for partition, end in self._ends.items()}
            )


def _key(record: Record) -> Key:
    """The key of the task that a TaskStarted is about, without decoding it for this alone."""
    if isinstance(event := record.decoded, TaskStarted):
        return event.owner, event.task_id, event.endpoint_id
    owner, task_id = map(dict(record.headers).get, ("ce_owner", "ce_subject"))
    return _text(owner or b""), _text(task_id or b""), _text(record.key)


def _text(value: bytes) -> str:
    return value.decode(errors="replace")


async def _every(store: ReadModelStore, model: Model, **where: str) -> AsyncIterator[Document]:
    """Every document of a model, page by page."""
    after: Key | None = None
    while page := await store.find(model, (), where, after=after, limit=_PAGE):
        for document in page:
            yield document
        after = model.key_of(page[-1])
