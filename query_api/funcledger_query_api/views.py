"""Tasks as clients see them, made from documents or from an outcome that has just landed."""

import math
from collections.abc import Collection

import msgspec

from funcledger_query_api.landed import Landed
from funcledger_read_models.documents import TaskResult, TaskStatus
from funcledger_schemas.events import TaskCancelled, TaskFailed
from funcledger_schemas.lifecycle import Status, status_of_outcome


class TaskView(msgspec.Struct, kw_only=True, gc=False):
    """Where one task stands. Times in ms since 1970, durations in seconds, memory in bytes.

    Listings tell of a result its kind, type of error and the first line of its message, and all else that
    only a result tells is null; what only the submission tells is null where an outcome came straight from
    the log.
    """

    task_id: str
    endpoint_id: str
    function_id: str | None = None
    function_name: str | None = None
    batch_id: str
    batch_index: int | None = None
    status: str
    pending: bool
    attempts: int
    submitted_at: int | None = None
    started_at: int | None = None
    finished_at: int | None = None
    kind: str | None = None
    message: str | None = None
    error_type: str | None = None
    traceback: str | None = None
    run_time: float | None = None
    cpu_time: float | None = None
    peak_memory: int | None = None
    conflict: bool = False
    cancel_requested: bool = False
    payload_format: str | None = None
    payload_size: int | None = None


class SentTask(TaskView, kw_only=True, gc=False, omit_defaults=True):
    """A task beside its payload in a frame; ``size`` is how many bytes of payload follow for it.

    ``truncated``: the frame was full, ask for this one again. What is null, false or 0 is left out.
    """

    size: int = 0
    truncated: bool = False


#: What a listing leaves out, and most characters of a message that it tells.
_OF_RESULT = frozenset({"traceback", "cpu_time", "peak_memory", "payload_format", "payload_size"})
_FIRST_LINE = 200


def shown_status(status: str, endpoint_id: str, offline: Collection[str]) -> Status:
    """The status a user sees: one that waits for an endpoint among ``offline`` says so."""
    return Status.WAITING if status == Status.RECEIVED and endpoint_id in offline else Status(status)


def _with_room(view: SentTask) -> SentTask:
    """The view with a beginning that leaves room for the time the call took.

    Both times are those of the log, where the report of a beginning may stand a little after it.
    """
    if view.started_at is not None and view.finished_at is not None and view.run_time is not None:
        view.started_at = min(view.started_at, view.finished_at - math.ceil(view.run_time * 1000))
    return view


def status_view(document: TaskStatus, offline: Collection[str] = ()) -> SentTask:
    """A task by its status alone."""
    status = shown_status(document.status, document.endpoint_id, offline)
    view = SentTask(
        task_id=document.task_id,
        endpoint_id=document.endpoint_id,
        function_id=document.function_id,
        batch_id=document.batch_id,
        batch_index=document.batch_index,
        status=status.value,
        pending=not status.finished,
        attempts=document.attempts,
        submitted_at=document.submitted_at,
        started_at=document.started_at,
        finished_at=document.finished_at,
        run_time=document.run_time,
        conflict=document.conflict,
        cancel_requested=document.cancel_requested_at is not None,
    )
    return _with_room(view)


def with_result(view: SentTask, result: TaskResult) -> SentTask:
    """The view with what the result tells, payload bytes apart."""
    view.status, view.pending = result.status, False
    view.finished_at = result.finished_at
    view.attempts = max(view.attempts, result.attempt)
    view.kind, view.message = result.kind, result.message
    view.error_type, view.traceback = result.error_type, result.traceback
    view.run_time, view.cpu_time, view.peak_memory = result.run_time, result.cpu_time, result.peak_memory
    view.payload_format, view.payload_size = result.payload_format, result.payload_size
    return _with_room(view)


def result_view(result: TaskResult) -> SentTask:
    """A finished task by its result alone."""
    view = SentTask(
        task_id=result.task_id,
        endpoint_id=result.endpoint_id,
        batch_id=result.batch_id,
        status=result.status,
        pending=False,
        attempts=result.attempt,
    )
    return with_result(view, result)


def landed_view(landed: Landed, document: TaskStatus | None = None) -> SentTask:
    """A finished task by its outcome from the log, and its status as far as that is known."""
    event = landed.event
    view = SentTask(
        task_id=event.task_id,
        endpoint_id=event.endpoint_id,
        batch_id=event.batch_id,
        status=status_of_outcome(event).value,
        pending=False,
        attempts=event.attempt,
        finished_at=landed.timestamp,
        size=len(landed.payload),
    )
    if isinstance(event, TaskCancelled):
        view.message = event.reason
    else:
        view.run_time, view.cpu_time, view.peak_memory = event.run_time, event.cpu_time, event.peak_memory
        view.payload_format, view.payload_size = event.payload_format, event.payload_size
    if isinstance(event, TaskFailed):
        view.kind, view.message = event.kind, event.message
        view.error_type, view.traceback = event.error_type, event.traceback
    return view if document is None else _with_status(view, document)


def _with_status(view: SentTask, document: TaskStatus) -> SentTask:
    view.function_id, view.batch_index = document.function_id, document.batch_index
    view.submitted_at, view.started_at = document.submitted_at, document.started_at
    view.conflict = document.conflict
    view.cancel_requested = document.cancel_requested_at is not None
    return _with_room(view)


def shown(view: SentTask) -> TaskView:
    """The view as a status route answers it: all there is but for the payload."""
    return TaskView(**{name: getattr(view, name) for name in TaskView.__struct_fields__})


def listed(view: SentTask) -> TaskView:
    """The view as listings answer it."""
    told = shown(view)
    for name in _OF_RESULT:
        setattr(told, name, None)
    if told.message is not None:
        told.message = next(iter(told.message.splitlines()), "")[:_FIRST_LINE]
    return told
