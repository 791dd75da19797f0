"""What was submitted to endpoints, so that an endpoint is believed of nothing else (law 15, ATTACKS 5)."""

from collections.abc import Iterable, Sequence

from funcledger_event_log.port import EventLog
from funcledger_event_log.records import DecodeError, Position, Record
from funcledger_schemas import clock
from funcledger_schemas.events import Event, TaskEvent, TaskSubmitted
from funcledger_schemas.lifecycle import Outcome

#: Tasks remembered at least; twice as many at most, at some hundred bytes each.
CAPACITY = 100_000
NOT_FOUND, ALREADY_FINISHED = "not_found", "already_finished"

#: Why an event is not taken: a word for programs, and a sentence.
Refusal = tuple[str, str]


class _Remembered:
    """Numbers by number, in two generations."""

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._young: dict[int, int] = {}
        self._old: dict[int, int] = {}

    def get(self, name: int) -> int | None:
        found = self._young.get(name)
        return self._old.get(name) if found is None else found

    def put(self, name: int, value: int) -> None:
        self._young[name] = value
        if len(self._young) >= self._capacity:
            self._old, self._young = self._young, {}


class Submissions:
    """Tells whether an event about a task names a submission that stands on the log.

    Whoever is sent a task's submission comes back with what became of it, so what was sent is remembered;
    what is not, is read from the log, in one request for all events of an append.
    """

    def __init__(self, log: EventLog, capacity: int = CAPACITY) -> None:
        self._log = log
        self._offsets = _Remembered(capacity)
        self._ended = _Remembered(capacity)
        # Tasks are remembered by a hash, which nobody outside can aim at.
        self._secret = clock.current().random_bytes(16)

    def sent(self, records: Iterable[Record]) -> None:
        """These records of `tasks` go to the endpoint that they were submitted to."""
        for record in records:
            if record.type == "TaskSubmitted":
                self._note(record)

    def _note(self, record: Record) -> None:
        try:
            event = record.event()
        except DecodeError:
            return  # dead-lettered by the projectors (law 11)
        if isinstance(event, TaskSubmitted):
            self._offsets.put(self._name(event), record.offset)

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
        about = [(at, event) for at, event in enumerate(events) if isinstance(event, TaskEvent)]
        await self._read(partition, [event for _, event in about if not self._knows(event)])
        refused: dict[int, Refusal] = {}
        for at, event in about:
            if not self._knows(event):
                refused[at] = (NOT_FOUND, _nothing_such(event))
            elif isinstance(event, Outcome) and self._ended.get(self._name(event)):
                refused[at] = (
                    ALREADY_FINISHED,
                    f"task {event.task_id} has its outcome; the first one stands",
                )
        return refused

    def _knows(self, event: TaskEvent) -> bool:
        offset, named = self._offsets.get(self._name(event)), getattr(event, "submission", None)
        return offset is not None and named in (None, offset)

    async def _read(self, partition: int, unknown: Sequence[TaskEvent]) -> None:
        offsets = sorted({
            offset for event in unknown if (offset := getattr(event, "submission", None)) is not None
        })  # fmt: skip
        if not offsets:
            return
        for record in await self._log.read([Position("tasks", partition, offset) for offset in offsets]):
            if record is not None:
                self._note(record)

    def _name(self, event: TaskEvent) -> int:
        return hash((self._secret, event.endpoint_id, event.owner, event.task_id, event.batch_id))


def _has_ended(event: TaskEvent) -> str:
    return f"task {event.task_id} has its outcome, and the first one stands"


def _nothing_such(event: TaskEvent) -> str:
    submission = getattr(event, "submission", None)
    where = "no submission" if submission is None else f"the submission at offset {submission}"
    return (
        f"the {type(event).__name__} of task {event.task_id} names {where}; no such task of that owner and "
        "batch was given to this endpoint there"
    )
