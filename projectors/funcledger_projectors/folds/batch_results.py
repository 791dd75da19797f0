"""The fold of ``batch_results``: one small document per batch and task."""

from typing import Any

from funcledger_projectors.fold import Entry, Fold
from funcledger_projectors.folds.progress import OUTCOMES, Progress, move
from funcledger_read_models.documents import BATCH_RESULTS, BatchResult, Key
from funcledger_schemas.events import TaskAttemptFailed, TaskEvent, TaskStarted, TaskSubmitted


def submitted(document: BatchResult | None, entry: Entry[TaskSubmitted]) -> BatchResult | None:
    """The first submission places the task in its batch."""
    document = document or _new(entry.event)
    if document.submitted_at is not None:
        return None
    document.batch_index = entry.event.batch_index
    document.batch_size = entry.event.batch_size
    document.submitted_at = entry.timestamp
    return document


def progressed(document: BatchResult | None, entry: Entry[Progress]) -> BatchResult | None:
    """What an agent or the keeper says of the task."""
    document = document or _new(entry.event)
    if not move(document, entry):
        return None
    if document.outcome_offset is not None:
        document.partition = entry.partition
    return document


def _new(event: TaskEvent) -> BatchResult:
    return BatchResult(
        owner=event.owner, batch_id=event.batch_id, task_id=event.task_id, endpoint_id=event.endpoint_id
    )


def _key(entry: Entry[Any]) -> Key:
    event = entry.event
    return (event.owner, event.batch_id, event.task_id, event.endpoint_id)


FOLD = Fold(
    BATCH_RESULTS,
    {
        TaskSubmitted: submitted,
        **dict.fromkeys((TaskStarted, TaskAttemptFailed, *OUTCOMES), progressed),
    },
    key=_key,
)
