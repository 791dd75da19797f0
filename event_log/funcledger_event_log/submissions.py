"""What was submitted to endpoints, so that an endpoint is believed of nothing else (law 15, ATTACKS 5)."""

from collections.abc import Iterable, Sequence

from funcledger_event_log.port import EventLog
from funcledger_event_log.records import Position, Record
from funcledger_event_log.stubs import AT_ONCE
from funcledger_schemas import clock
from funcledger_schemas.events import Event, TaskEvent, TaskSubmitted
from funcledger_schemas.lifecycle import OUTCOME_CLASSES

#: Tasks remembered at least; twice as many at most, at some hundred bytes each.
CAPACITY = 100_000
NOT_FOUND, ALREADY_FINISHED = "not_found", "already_finished"

#: Why an event is not taken: a word for programs, and a sentence.
Refusal = tuple[str, str]


class SubmissionMemory:
    """Where tasks were submitted lately, found by endpoint, owner, task and batch; and which have ended.

    One is kept as two numbers in one of two generations, because there are so many: a hash of its names which
    nobody outside can aim at, and its offset, turned over (``~``) once the task has ended.
    """

    def __init__(self, capacity: int = CAPACITY) -> None:
        self._capacity = capacity
        self._young: dict[int, int] = {}
        self._old: dict[int, int] = {}
        self._secret = clock.current().random_bytes(16)

    def note(self, records: Iterable[Record]) -> None:
        """The submissions among these records of `tasks`; of copies the first counts."""
        young = self._young
        for record in records:
            event = record.decoded or record.event_if_readable()
            if type(event) is TaskSubmitted:
                # One look and no more: of a copy that comes much later, the log is asked again.
                young.setdefault(self._name(event), record.offset)
        self._grown()

    def correct(self, records: Iterable[Record]) -> None:
        """These submissions were looked at on the log: what was remembered of their tasks may be a copy's."""
        for record in records:
            if type(event := record.event_if_readable()) is TaskSubmitted:
                known = self.offset(event)
                if known is None or record.offset < known:
                    self._young[self._name(event)] = record.offset
        self._grown()

    def end(self, event: TaskEvent) -> None:
        """This outcome counts, and is on the log."""
        name = self._name(event)
        place = self._young.get(name, self._old.get(name, -1))
        if place >= 0:
            self._young[name] = ~place

    def place(self, event: TaskEvent) -> int | None:
        """Where the task that it names was submitted, turned over if it has ended; None if not remembered."""
        name = self._name(event)
        place = self._young.get(name)
        return self._old.get(name) if place is None else place

    def offset(self, event: TaskEvent) -> int | None:
        """Where the task that it names was submitted; None if that is not remembered."""
        place = self.place(event)
        return place if place is None or place >= 0 else ~place

    def _name(self, event: TaskEvent) -> int:
        return hash((self._secret, event.endpoint_id, event.owner, event.task_id, event.batch_id))

    def _grown(self) -> None:
        if len(self._young) >= self._capacity:
            self._old, self._young = self._young, {}


class Submissions:
    """Tells whether an event about a task names a submission that stands on the log.

    Whoever is sent a task's submission comes back with what became of it, so what was sent is remembered;
    what is not, is read from the log, for all events of an append together. ``followed`` is a memory that
    another part of this process fills with all that it reads of `tasks`: then nothing is noted here.
    """

    def __init__(
        self, log: EventLog, followed: SubmissionMemory | None = None, *, capacity: int = CAPACITY
    ) -> None:
        self._log = log
        self._memory = followed or SubmissionMemory(capacity)
        self._notes = followed is None

    def sent(self, records: Iterable[Record]) -> None:
        """These records of `tasks` go to the endpoint that they were submitted to."""
        if self._notes:
            self._memory.note(records)

    def ended(self, events: Iterable[Event]) -> None:
        """These events count, and are on the log."""
        for event in events:
            if isinstance(event, OUTCOME_CLASSES):
                self._memory.end(event)

    async def refusals(self, partition: int, events: Sequence[Event]) -> dict[int, Refusal]:
        """By place among the events, why one is not taken.

        An agent's events name the offset of the submission. One of a release that did not is believed of what
        was sent to it from here.

        Raises:
            LogUnavailable: what is not remembered cannot be read now.
        """
        refused = self._refusals(range(len(events)), events)
        unknown = [at for at, (word, _) in refused.items() if word == NOT_FOUND]
        if unknown:
            await self._read(partition, [events[at] for at in unknown])
            for at in unknown:
                del refused[at]
            refused |= self._refusals(unknown, events)
        return refused

    def _refusals(self, places: Iterable[int], events: Sequence[Event]) -> dict[int, Refusal]:
        refused = {}
        for at in places:
            event = events[at]
            if isinstance(event, TaskEvent) and (refusal := self._refusal(event)) is not None:
                refused[at] = refusal
        return refused

    def _refusal(self, event: TaskEvent) -> Refusal | None:
        place = self._memory.place(event)
        if place is None or getattr(event, "submission", None) not in (None, place if place >= 0 else ~place):
            return NOT_FOUND, _nothing_such(event)
        if place < 0 and isinstance(event, OUTCOME_CLASSES):
            return ALREADY_FINISHED, _has_ended(event)
        return None

    async def _read(self, partition: int, unknown: Sequence[Event]) -> None:
        offsets = sorted(
            {offset for event in unknown if (offset := getattr(event, "submission", None)) is not None}
        )
        positions = [Position("tasks", partition, offset) for offset in offsets]
        for at in range(0, len(positions), AT_ONCE):
            found = await self._log.read(positions[at : at + AT_ONCE])
            self._memory.correct(record for record in found if record is not None)


def _has_ended(event: TaskEvent) -> str:
    return f"task {event.task_id} has its outcome, and the first one stands"


def _nothing_such(event: TaskEvent) -> str:
    submission = getattr(event, "submission", None)
    where = "no submission" if submission is None else f"the submission at offset {submission}"
    return (
        f"the {type(event).__name__} of task {event.task_id} names {where}; no such task of that owner and "
        "batch was given to this endpoint there"
    )
