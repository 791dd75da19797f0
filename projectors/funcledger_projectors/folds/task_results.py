"""The fold of ``task_results``: the first outcome of each task (law 5)."""

from typing import Any

from funcledger_projectors.fold import Entry, Fold
from funcledger_read_models.documents import INLINE_LIMIT, TASK_RESULTS, TaskResult
from funcledger_schemas.events import TaskCancelled, TaskCompleted, TaskFailed
from funcledger_schemas.lifecycle import status_of_outcome


def completed(document: TaskResult | None, entry: Entry[TaskCompleted]) -> TaskResult | None:
    """The call returned."""
    return None if document else _result(entry, **_measured(entry.event))


def failed(document: TaskResult | None, entry: Entry[TaskFailed]) -> TaskResult | None:
    """The task failed."""
    if document is not None:
        return None
    event = entry.event
    return _result(
        entry,
        kind=event.kind,
        message=event.message,
        error_type=event.error_type,
        traceback=event.traceback,
        **_measured(event),
    )


def cancelled(document: TaskResult | None, entry: Entry[TaskCancelled]) -> TaskResult | None:
    """The task was cancelled, so there are no bytes."""
    return None if document else _result(entry, message=entry.event.reason, payload=b"")


def _result(entry: Entry[Any], **what: Any) -> TaskResult:
    event = entry.event
    return TaskResult(
        owner=event.owner,
        task_id=event.task_id,
        endpoint_id=event.endpoint_id,
        batch_id=event.batch_id,
        status=str(status_of_outcome(event)),
        partition=entry.partition,
        offset=entry.offset,
        finished_at=entry.timestamp,
        attempt=event.attempt,
        **what,
    )


def _measured(event: TaskCompleted | TaskFailed) -> dict[str, Any]:
    return {
        "run_time": event.run_time,
        "cpu_time": event.cpu_time,
        "peak_memory": event.peak_memory,
        "payload_format": event.payload_format,
        "payload_size": event.payload_size,
        "payload": event.payload if len(event.payload) <= INLINE_LIMIT else None,
    }


FOLD = Fold(TASK_RESULTS, {TaskCompleted: completed, TaskFailed: failed, TaskCancelled: cancelled})
