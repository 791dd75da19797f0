"""What an endpoint was given to do, remembered so that what its agent says of it can be checked at once."""

from collections.abc import Iterable
from typing import NamedTuple

from funcledger_event_log.records import DecodeError, Record
from funcledger_schemas.events import TaskSubmitted
from funcledger_schemas.lifecycle import OfTask, Outcome

#: Submissions in a generation; up to two are held, at some 150 bytes for each.
GENERATION = 100_000
_ATTEMPTS = 1 << 31


class GivenTask(NamedTuple):
    """A submission that was sent to its endpoint: its place, most attempts, whether it ended."""

    offset: int
    max_attempts: int
    ended: bool = False


class GivenTasks:
    """The submissions that were sent to agents lately, found by endpoint, owner, task and batch.

    One is kept as two numbers, a hash and what is said of it, because there are so many.
    """

    def __init__(self, generation: int = GENERATION) -> None:
        self._generation = generation
        self._young: dict[int, int] = {}
        self._old: dict[int, int] = {}

    def note(self, records: Iterable[Record]) -> None:
        """These records of ``tasks`` are on their way to their endpoint; the first of each task counts."""
        for record in records:
            if record.type == TaskSubmitted.__name__ and (task := given_by(record)) is not None:
                event = record.event()
                key = _key(event)  # type: ignore[arg-type]
                if key not in self._young and key not in self._old:
                    self._put(key, task)

    def of(self, event: OfTask) -> GivenTask | None:
        """The submission of the task that an event is about, where it is remembered."""
        packed = self._packed(_key(event))
        return (
            None if packed is None else GivenTask(packed >> 32, packed >> 1 & _ATTEMPTS - 1, bool(packed & 1))
        )

    def has(self, endpoint_id: str, owner: str, task_id: str, batch_id: str) -> bool:
        """Whether a submission of this task to this endpoint in this batch is remembered."""
        return self._packed(hash((endpoint_id, owner, task_id, batch_id))) is not None

    def ended(self, events: Iterable[object]) -> None:
        """Those of these events that are outcomes stand on the log, and count."""
        for event in events:
            if isinstance(event, Outcome) and (task := self.of(event)) is not None:
                self._put(_key(event), task._replace(ended=True))

    def _packed(self, key: int) -> int | None:
        packed = self._young.get(key)
        return self._old.get(key) if packed is None else packed

    def _put(self, key: int, task: GivenTask) -> None:
        self._young[key] = task.offset << 32 | min(task.max_attempts, _ATTEMPTS - 1) << 1 | task.ended
        if len(self._young) >= self._generation:
            self._old, self._young = self._young, {}


def given_by(record: Record) -> GivenTask | None:
    """What a record of ``tasks`` gives to do; None where it is no submission that can be read."""
    try:
        event = record.event()
    except DecodeError:
        return None
    if not isinstance(event, TaskSubmitted):
        return None
    return GivenTask(record.offset, max(0, event.max_attempts))


def _key(event: TaskSubmitted | OfTask) -> int:
    return hash((event.endpoint_id, event.owner, event.task_id, event.batch_id))
