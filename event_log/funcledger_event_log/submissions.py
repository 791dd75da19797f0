"""What was submitted to endpoints, so that an endpoint is believed of nothing else (law 15, ATTACKS 5)."""

from collections.abc import Iterable, Sequence

from funcledger_event_log.port import EventLog
from funcledger_event_log.records import DecodeError, Position, Record
from funcledger_event_log.stubs import AT_ONCE
from funcledger_schemas import clock
from funcledger_schemas.events import Event, TaskEvent, TaskSubmitted
from funcledger_schemas.lifecycle import Outcome

#: Tasks remembered at least; twice as many at most, at some hundred bytes each.
CAPACITY = 100_000
NOT_FOUND, ALREADY_FINISHED = "not_found", "already_finished"

#: Why an event is not taken: a word for programs, and a sentence.
Refusal = tuple[str, str]


class SubmissionMemory:
    """Where tasks were submitted lately, found by endpoint, owner, task and batch.

    One is kept as two numbers in one of two generations, because there are so many: its offset, and a hash of
    its names which nobody outside can aim at.
    """

    def __init__(self, capacity: int = CAPACITY) -> None:
        self._capacity = capacity
        self._young: dict[int, int] = {}
        self._old: dict[int, int] = {}
        self._secret = clock.current().random_bytes(16)

    def note(self, records: Iterable[Record]) -> None:
        """The submissions among these records of `tasks`; of copies the first counts."""
        young, secret = self._young, self._secret
        for record in records:
            event = _read(record)
            if isinstance(event, TaskSubmitted):
                name = hash((secret, event.endpoint_id, event.owner, event.task_id, event.batch_id))
                # One look and no more: of a copy that comes much later, the log is asked again.
                young.setdefault(name, record.offset)
        if len(young) >= self._capacity:
            self._old, self._young = young, {}

    def correct(self, records: Iterable[Record]) -> None:
        """These submissions were looked at on the log: what was remembered of their tasks may be a copy's."""
        for record in records:
            if record.type == "TaskSubmitted" and isinstance(event := _read(record), TaskSubmitted):
                name = self.name(event.endpoint_id, event.owner, event.task_id, event.batch_id)
                self.put(name, record.offset)

    def name(self, endpoint_id: str, owner: str, task_id: str, batch_id: str) -> int:
        """What a task is found by."""
        return hash((self._secret, endpoint_id, owner, task_id, batch_id))

    def offset(self, name: int) -> int | None:
        """What is remembered of it: for a submission its offset."""
        found = self._young.get(name)
        return self._old.get(name) if found is None else found

    def put(self, name: int, value: int) -> None:
        """Remember a number for it."""
        self._young[name] = value
        if len(self._young) >= self._capacity:
            self._old, self._young = self._young, {}


class Submissions:
    """Tells whether an event about a task names a submission that stands on the log.

    Whoever is sent a task's submission comes back with what became of it, so what was sent is remembered;
    what is not, is read from the log, for all events of an append together.
    """

    def __init__(self, log: EventLog, capacity: int = CAPACITY) -> None:
        self._log = log
        self._memory = SubmissionMemory(capacity)
        self._ended = SubmissionMemory(capacity)

    def sent(self, records: Iterable[Record]) -> None:
        """These records of `tasks` go to the endpoint that they were submitted to."""
        self._memory.note(records)

    def ended(self, events: Iterable[Event]) -> None:
        """These events count, and are on the log."""
        for event in events:
            if isinstance(event, Outcome):
                self._ended.put(self._name(event), 1)

    async def refusals(self, partition: int, events: Sequence[Event]) -> dict[int, Refusal]:
        """By place among the events, why one is not taken.

        An agent's events name the offset of the submission. One of a release that did not is believed of what
        was sent to it from here.

        Raises:
            LogUnavailable: what is not remembered cannot be read now.
        """
        refused: dict[int, Refusal] = {}
        unknown: list[int] = []
        for at, event in enumerate(events):
            if not isinstance(event, TaskEvent):
                continue
            name = self._name(event)
            if not self._knows(name, event):
                unknown.append(at)
            elif isinstance(event, Outcome) and self._ended.offset(name) is not None:
                refused[at] = (ALREADY_FINISHED, _has_ended(event))
        if unknown:
            await self._read(partition, [events[at] for at in unknown])
        for at in unknown:
            event = events[at]
            if isinstance(event, TaskEvent) and not self._knows(self._name(event), event):
                refused[at] = (NOT_FOUND, _nothing_such(event))
        return refused

    def _knows(self, name: int, event: TaskEvent) -> bool:
        offset = self._memory.offset(name)
        return offset is not None and getattr(event, "submission", None) in (None, offset)

    async def _read(self, partition: int, unknown: Sequence[Event]) -> None:
        offsets = sorted(
            {offset for event in unknown if (offset := getattr(event, "submission", None)) is not None}
        )
        positions = [Position("tasks", partition, offset) for offset in offsets]
        for at in range(0, len(positions), AT_ONCE):
            found = await self._log.read(positions[at : at + AT_ONCE])
            self._memory.correct(record for record in found if record is not None)

    def _name(self, event: TaskEvent) -> int:
        return self._memory.name(event.endpoint_id, event.owner, event.task_id, event.batch_id)


def _read(record: Record) -> Event | None:
    try:
        return record.event()
    except DecodeError:
        return None  # dead-lettered by the projectors (law 11)


def _has_ended(event: TaskEvent) -> str:
    return f"task {event.task_id} has its outcome, and the first one stands"


def _nothing_such(event: TaskEvent) -> str:
    submission = getattr(event, "submission", None)
    where = "no submission" if submission is None else f"the submission at offset {submission}"
    return (
        f"the {type(event).__name__} of task {event.task_id} names {where}; no such task of that owner and "
        "batch was given to this endpoint there"
    )
