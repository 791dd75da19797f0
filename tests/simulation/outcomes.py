"""Each task's first outcome, attempts and submission, read from the log by laws 5 and 7 alone."""

from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import Any

from funcledger_event_log.memory import MemoryLog
from funcledger_event_log.records import Record, TopicPartition
from funcledger_schemas.events import Event

#: A task: owner and task id. No two endpoints of a scenario share one.
Name = tuple[str, str]
_STATUS = {"TaskCompleted": "success", "TaskFailed": "failed", "TaskCancelled": "cancelled"}
_EVERYTHING = 1 << 40


@dataclass(slots=True)
class Outcome:
    """A task's first outcome that counts."""

    partition: int
    offset: int
    timestamp: int
    event: Any

    @property
    def status(self) -> str:
        return _STATUS[type(self.event).__name__]


class Outcomes:
    """Reads tasks and results as they grow, and finds each task's first outcome (laws 5 and 7)."""

    def __init__(self, log: MemoryLog) -> None:
        self._log = log
        self._next: dict[TopicPartition, int] = {}
        #: Per endpoint, the offset of the start in force; per instance, the epoch it opened.
        self._epochs: dict[str, int] = {}
        #: Epochs that followed one whose agent did not say that it stopped, and when they began.
        self.after_death: dict[int, int] = {}
        self._left: set[int] = set()
        #: Endpoints of which an agent has stopped in good order.
        self.stopped: set[str] = set()
        self.epoch_of: dict[str, int] = {}
        self.first: dict[Name, Outcome] = {}
        #: First submissions: offset, append time and event.
        self.submitted: dict[Name, tuple[int, int, Any]] = {}
        #: Attempts that count, in order: partition, offset, attempt.
        self.started: dict[Name, list[tuple[int, int, int]]] = defaultdict(list)
        #: How often a task was begun in an epoch, after its outcome too.
        self.starts = Counter[tuple[Name, int]]()

    def read(self) -> None:
        """Take in what is new."""
        for topic in ("tasks", "results"):
            for where in [each for each in self._log._partitions if each.topic == topic]:
                at = self._next.get(where, 0)
                for record in self._log.take(where, at, _EVERYTHING, _EVERYTHING):
                    self._take(record, record.event())
                    self._next[where] = record.offset + 1

    def waiting(self) -> list[str]:
        """Submitted tasks without an outcome."""
        return sorted(task_id for owner, task_id in self.submitted.keys() - self.first.keys())

    def _take(self, record: Record, event: Event) -> None:
        kind = type(event).__name__
        fields: Any = event
        if kind == "EndpointStarted":
            self._start(record, fields)
        elif kind == "EndpointStopped":
            self._left.add(fields.epoch)
            self.stopped.add(fields.endpoint_id)
        elif kind == "TaskSubmitted":
            self.submitted.setdefault(
                (fields.owner, fields.task_id), (record.offset, record.timestamp, event)
            )
        elif kind in ("TaskStarted", "TaskCompleted", "TaskFailed", "TaskCancelled") and self._counts(fields):
            name = (fields.owner, fields.task_id)
            if not self._was_submitted(name, fields):
                return
            if kind == "TaskStarted":
                self.starts[name, fields.epoch] += 1
            if name in self.first:
                return
            if kind == "TaskStarted":
                self.started[name].append((record.partition, record.offset, fields.attempt))
            else:
                self.first[name] = Outcome(record.partition, record.offset, record.timestamp, event)

    def _start(self, record: Record, event: Any) -> None:
        """A start counts if it supersedes what is in force: compare and set."""
        if event.supersedes >= self._epochs.get(event.endpoint_id, -1):
            before = self._epochs.get(event.endpoint_id, -1)
            if before >= 0 and before not in self._left:
                self.after_death[record.offset] = record.timestamp
            self._epochs[event.endpoint_id] = record.offset
            self.epoch_of[event.instance_id] = record.offset

    def _was_submitted(self, name: Name, event: Any) -> bool:
        """Whether it is about the task's first submission; tasks are read before results."""
        offset, _, submitted = self.submitted.get(name, (None, None, event))
        return (event.endpoint_id, event.batch_id, event.submission) == (
            submitted.endpoint_id, submitted.batch_id, offset,
        )  # fmt: skip

    def _counts(self, event: Any) -> bool:
        return event.epoch is None or event.epoch == self._epochs.get(event.endpoint_id)
