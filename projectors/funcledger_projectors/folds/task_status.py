"""The fold of ``task_status``: where each task stands.

``tasks`` and ``results`` each write fields of their own, so they may come in any relative order (law 4).
"""

from funcledger_projectors.fold import Entry, Fold
from funcledger_projectors.folds.progress import OUTCOMES, Progress, move
from funcledger_read_models.documents import TASK_STATUS, TaskStatus
from funcledger_schemas.events import (
    TaskAttemptFailed,
    TaskCancelRequested,
    TaskCompleted,
    TaskEvent,
    TaskFailed,
    TaskStarted,
    TaskSubmitted,
)

#: Times beyond what a store's integers hold stand at their edge.
_LATEST = 2**63 - 1


def submitted(document: TaskStatus | None, entry: Entry[TaskSubmitted]) -> TaskStatus | None:
    """The first submission says what the task is."""
    event = entry.event
    document = document or _new(event)
    if document.submitted_offset is not None:
        return None
    document.batch_id = event.batch_id  # whatever a cancel, read before it, has said
    document.held, document.held_until = 0, -1
    document.function_id = event.function_id
    document.batch_index = event.batch_index
    document.batch_size = event.batch_size
    document.submitted_at = entry.timestamp
    document.submitted_offset = entry.offset
    document.request_digest = event.request_digest
    document.max_attempts = event.max_attempts
    document.deadline = min(entry.timestamp + event.expires_in * 1000, _LATEST)
    return _attend(document)


def submitted_again(document: TaskStatus | None, entry: Entry[TaskSubmitted]) -> TaskStatus | None:
    """A later submission is ignored; that it asked for something else is told."""
    if document is None or document.conflict or document.request_digest == entry.event.request_digest:
        return None
    document.conflict = True
    return document


def cancel_requested(document: TaskStatus | None, entry: Entry[TaskCancelRequested]) -> TaskStatus | None:
    """The first request says when."""
    document = document or _new(entry.event)
    if document.cancel_requested_at is not None:
        return None
    document.batch_id = document.batch_id or entry.event.batch_id
    document.cancel_requested_at = entry.timestamp
    return _attend(document)


def progressed(document: TaskStatus | None, entry: Entry[Progress]) -> TaskStatus | None:
    """What an agent or the keeper says of the task."""
    event = entry.event
    document = document or _new(event)
    if not move(document, entry):
        return None
    if isinstance(event, TaskStarted):
        document.started_at, document.worker = entry.timestamp, event.worker
    elif isinstance(event, (TaskCompleted, TaskFailed)):
        document.run_time = event.run_time
    return _attend(document)


def _new(event: TaskEvent) -> TaskStatus:
    return TaskStatus(
        owner=event.owner, task_id=event.task_id, endpoint_id=event.endpoint_id, batch_id=event.batch_id
    )


def _attend(document: TaskStatus) -> TaskStatus:
    document.attention_at = None
    if document.deadline is not None and document.outcome_offset is None:
        asked = document.cancel_requested_at
        document.attention_at = document.deadline if asked is None else min(document.deadline, asked)
    return document


FOLD = Fold(
    TASK_STATUS,
    {
        TaskSubmitted: submitted,
        TaskCancelRequested: cancel_requested,
        **dict.fromkeys((TaskStarted, TaskAttemptFailed, *OUTCOMES), progressed),
    },
    of_void={TaskSubmitted: submitted_again},
)
