"""The pure rule of a task's life, one for folds, streams, gateway and agents (laws 5, 6 and 7)."""

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from enum import StrEnum

import msgspec

from funcledger_schemas.events import (
    EndpointStarted,
    Event,
    TaskAttemptFailed,
    TaskCancelled,
    TaskCompleted,
    TaskFailed,
    TaskStarted,
)

#: The only terminal events: a task's outcome is the first of them in its results partition.
Outcome = TaskCompleted | TaskFailed | TaskCancelled
#: What ``results`` says of a task; each event names the task's submission.
OfTask = TaskStarted | TaskAttemptFailed | Outcome
OUTCOMES = frozenset({"TaskCompleted", "TaskFailed", "TaskCancelled"})
#: For ``isinstance``, which takes several times as long with a union.
OUTCOME_CLASSES = (TaskCompleted, TaskFailed, TaskCancelled)
_OF_ATTEMPT = (TaskStarted, TaskAttemptFailed)
NO_EPOCH = -1


class Status(StrEnum):
    """States of a task that a user sees."""

    RECEIVED = "received"
    WAITING = "waiting-for-endpoint"
    RUNNING = "running"
    SUCCESS = "success"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def finished(self) -> bool:
        """Whether there is an outcome."""
        return self in (Status.SUCCESS, Status.FAILED, Status.CANCELLED)


def status_of_outcome(event: Outcome) -> Status:
    """The state a task ends in with this outcome."""
    if isinstance(event, TaskCompleted):
        return Status.SUCCESS
    return Status.FAILED if isinstance(event, TaskFailed) else Status.CANCELLED


def is_about(event: OfTask, submission: int, batch_id: str) -> bool:
    """Whether an event about a task is about the one whose first submission stands there, in this batch.

    Endpoint, owner and task id are the same already. An event of version 1 names no submission.
    """
    return event.batch_id == batch_id and (event.submission is None or event.submission == submission)


class Epochs:
    """Law 7: the epochs of each endpoint, record by record of its results partition.

    An epoch is the offset of the EndpointStarted that took effect. A start takes effect when nothing
    newer than what it supersedes has; so a copy of an old one never does. An event of any other epoch
    than the one in force at its offset is void, be it an older agent's or that of one whose start did
    not take effect. One without an epoch is the keeper's and counts. Delivering a record again gives
    the same answer as the first time. Offsets are those of ``results``: a heartbeat, which stands in
    another topic, is for :meth:`current` to judge.
    """

    #: Epochs remembered per endpoint; only who is delivered old records again needs more than one.
    KEPT = 64

    def __init__(self, known: Mapping[str, Sequence[int]] | None = None) -> None:
        #: Per endpoint, its epochs so far, rising.
        self.known: dict[str, list[int]] = {key: list(value) for key, value in (known or {}).items()}

    def current(self, endpoint_id: str) -> int:
        """The newest epoch, -1 when no agent has started yet."""
        epochs = self.known.get(endpoint_id)
        return epochs[-1] if epochs else NO_EPOCH

    def admit(self, offset: int, event: Event) -> bool:
        """Whether the event at this offset counts; an EndpointStarted that does opens a new epoch."""
        if isinstance(event, EndpointStarted):
            return self._start(self.known.setdefault(event.endpoint_id, []), offset, event.supersedes)
        epoch: int | None = getattr(event, "epoch", None)
        if epoch is None:
            return True
        epochs = self.known.get(getattr(event, "endpoint_id", ""), ())
        if epochs and epochs[-1] < offset:
            return epoch == epochs[-1]
        before = bisect_left(epochs, offset)
        # With no start known before it, the log's beginning is gone: then every epoch is believed.
        return before == 0 or epoch == epochs[before - 1]

    def _start(self, epochs: list[int], offset: int, supersedes: int) -> bool:
        if epochs and offset <= epochs[-1]:
            return offset in epochs
        if epochs and supersedes < epochs[-1]:
            return False
        epochs.append(offset)
        del epochs[: -self.KEPT]
        return True


class Life(msgspec.Struct, gc=False):
    """What the results say of one task so far: attempts begun, whether one runs, its outcome's offset."""

    attempts: int = 0
    running: bool = False
    outcome: int | None = None


def advance(life: Life, offset: int, event: Event) -> bool:
    """Move a task's life on by one event that counts, in partition order; whether anything changed.

    Idempotent: a copy of an event, and all that follows the first outcome, changes nothing (laws 3 and 5).
    """
    if life.outcome is not None:
        return False
    if isinstance(event, OUTCOME_CLASSES):
        life.outcome, life.running = offset, False
        return True
    if not isinstance(event, _OF_ATTEMPT):
        return False
    # An attempt only ever goes from begun to failed, so what stands further on is what counts.
    begins = isinstance(event, TaskStarted)
    if event.attempt < life.attempts or (event.attempt == life.attempts and (begins or not life.running)):
        return False
    life.attempts, life.running = event.attempt, begins
    return True
