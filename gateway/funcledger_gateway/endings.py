"""How the keeper ends a task: the same event whenever it is asked, so that saying it twice is a copy."""

import hashlib
from typing import Any
from uuid import UUID, uuid5

from funcledger_read_models.documents import TaskStatus
from funcledger_schemas import clock
from funcledger_schemas.events import TaskCancelled, TaskFailed

#: Of a failure whose deadline passed before any agent ended the task.
EXPIRED = "Expired"

_NAMESPACE = UUID("5e0c6c1e-8f0b-5a55-9f0e-6b7f3d1c2a40")
_NOTHING = hashlib.sha256(b"").hexdigest()


def ending(task: TaskStatus) -> TaskCancelled | TaskFailed:
    """The outcome of a task that nobody else will end: cancelled where somebody asked, else expired."""
    return _expired(task) if task.cancel_requested_at is None else _cancelled(task)


def _cancelled(task: TaskStatus) -> TaskCancelled:
    reason = "Cancelled on request while no agent of the endpoint was running."
    return TaskCancelled(**_about(task, "cancelled"), reason=reason)


def _expired(task: TaskStatus) -> TaskFailed:
    return TaskFailed(
        **_about(task, "expired"),
        kind=EXPIRED,
        message=_why(task),
        error_type=None,
        traceback=None,
        run_time=None,
        cpu_time=None,
        peak_memory=None,
        payload_format=None,
        payload_sha256=_NOTHING,
        payload_size=0,
        payload=b"",
    )


def _about(task: TaskStatus, how: str) -> dict[str, Any]:
    """What every ending says; no epoch, so that it counts whatever agent is in force."""
    return {
        "event_id": _event_id(task, how),
        "occurred_at": clock.micros(),
        "actor": "keeper",
        "endpoint_id": task.endpoint_id,
        "owner": task.owner,
        "task_id": task.task_id,
        "batch_id": task.batch_id,
        "epoch": None,
        "attempt": task.attempts,
        "submission": task.submitted_offset,
    }


def _why(task: TaskStatus) -> str:
    waited = ((task.deadline or 0) - (task.submitted_at or 0)) / 1000
    return (
        f"No agent of endpoint {task.endpoint_id} ended the task within {waited:g} s of its submission. "
        "Start the endpoint and submit it again, or give it a longer expires_in."
    )


def _event_id(task: TaskStatus, how: str) -> str:
    return str(uuid5(_NAMESPACE, f"{task.endpoint_id}/{task.owner}/{task.task_id}/{how}"))
