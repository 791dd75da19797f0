"""The fold of ``task_results``: the first outcome of each task (law 5)."""

from typing import Any

from funcledger_projectors.fold import Entry, Fold
from funcledger_read_models.documents import INLINE_LIMIT, TASK_RESULTS, TaskResult
from funcledger_schemas.events import TaskCancelled, TaskCompleted, TaskFailed
from funcledger_schemas.failures import opened
from funcledger_schemas.lifecycle import status_of_outcome


def completed(document: TaskResult | None, entry: Entry[TaskCompleted]) -> TaskResult | None:
    """The call returned."""
    return None if document else _measured(_result(entry), entry.event)


def failed(document: TaskResult | None, entry: Entry[TaskFailed]) -> TaskResult | None:
    """The task failed."""
    if document is not None:
        return None
    # What is too large for a document is left whole for whoever reads it from the log.
    large, result = entry.event.payload_size > INLINE_LIMIT, _result(entry)
    event = entry.event if large else opened(entry.event)
    result.kind, result.message = event.kind, event.message
    result.error_type, result.traceback = event.error_type, event.traceback
    return _measured(result, event)


def cancelled(document: TaskResult | None, entry: Entry[TaskCancelled]) -> TaskResult | None:
    """The task was cancelled, so there are no bytes."""
    if document is not None:
        return None
    result = _result(entry)
    result.message, result.payload = entry.event.reason, b""
    return result


def _result(entry: Entry[Any]) -> TaskResult:
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
    )


def _measured(result: TaskResult, event: TaskCompleted | TaskFailed) -> TaskResult:
    result.run_time, result.cpu_time, result.peak_memory = event.run_time, event.cpu_time, event.peak_memory
    result.payload_format, result.payload_size = event.payload_format, event.payload_size
    # Who reads the log for us may have left out a large payload, and says its size all the same.
    size = max(event.payload_size, len(event.payload))
    result.payload = event.payload if size <= INLINE_LIMIT else None
    return result


FOLD = Fold(TASK_RESULTS, {TaskCompleted: completed, TaskFailed: failed, TaskCancelled: cancelled})
