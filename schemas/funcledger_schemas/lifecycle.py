"""The pure rule of a task's life, one for folds, streams, gateway and agents (laws 5, 6 and 7)."""

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
OUTCOMES = frozenset({"TaskCompleted", "TaskFailed", "TaskCancelled"})
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


def next_epoch(current: int, offset: int, event: Event) -> tuple[bool, int]:
    """Law 7, one record of an endpoint's results: (does it count, the epoch from here on).

    ``current`` is the endpoint's epoch before the record at ``offset``. An EndpointStarted takes
    effect when nothing newer than what it supersedes has; a copy of an old one supersedes too
    little. An event of an older epoch is void; one without an epoch is the keeper's and counts.
    """
    if isinstance(event, EndpointStarted):
        return (True, offset) if event.supersedes >= current else (False, current)
    epoch: int | None = getattr(event, "epoch", None)
    return epoch is None or epoch >= current, current


class Epochs:
    """The current epoch of each endpoint, advanced record by record in partition order."""

    def __init__(self, current: dict[str, int] | None = None) -> None:
        self.current: dict[str, int] = dict(current or {})

    def admit(self, offset: int, event: Event) -> bool:
        """Whether the event counts; moves the endpoint's epoch on."""
        endpoint: str | None = getattr(event, "endpoint_id", None)
        if endpoint is None:
            return True
        before = self.current.get(endpoint, NO_EPOCH)
        counts, after = next_epoch(before, offset, event)
        if after != before:
            self.current[endpoint] = after
        return counts


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
    if isinstance(event, TaskStarted):
        if event.attempt <= life.attempts:
            return False
        life.attempts, life.running = event.attempt, True
        return True
    if isinstance(event, TaskAttemptFailed):
        changed = life.running and event.attempt >= life.attempts
        life.running = life.running and not changed
        return changed
    if isinstance(event, Outcome):
        life.outcome, life.running = offset, False
        return True
    return False
