"""The events an agent writes of tasks, all in its own epoch, their texts within the limits on events."""

import hashlib

from funcledger_endpoint.engine import Loss
from funcledger_endpoint.report import Report
from funcledger_endpoint.task import Task
from funcledger_schemas import clock
from funcledger_schemas.events import TaskAttemptFailed, TaskCancelled, TaskCompleted, TaskFailed, TaskStarted
from funcledger_schemas.failures import FORMAT as FAILURE
from funcledger_schemas.failures import pack_failure
from funcledger_schemas.ids import new_id
from funcledger_schemas.limits import MESSAGE_LIMIT, NAME_LIMIT, PAYLOAD_LIMIT, TRACEBACK_LIMIT
from funcledger_schemas.texts import shorten

_NOTHING = hashlib.sha256(b"").hexdigest()


class Facts:
    """Makes events of one endpoint and epoch."""

    def __init__(self, endpoint_id: str, epoch: int, name: str | None = None) -> None:
        self.endpoint_id = endpoint_id
        self._name = name or endpoint_id
        self.epoch = epoch
        self.actor = f"endpoint:{endpoint_id}"

    def _of(self, task: Task) -> tuple[str, int, str, str, str, str, str, int, int]:
        """The fields that all of them begin with, in their order: naming each takes twice as long.

        Event id, time, actor, endpoint, owner, task, batch, epoch, attempt.
        """
        return (
            new_id(),
            clock.micros(),
            self.actor,
            self.endpoint_id,
            task.owner,
            task.task_id,
            task.batch_id,
            self.epoch,
            task.attempts,
        )

    def started(self, task: Task, worker: str) -> TaskStarted:
        """A worker has begun the task's present attempt."""
        return TaskStarted(*self._of(task), worker, task.offset)

    def attempt_failed(self, task: Task, loss: Loss) -> TaskAttemptFailed:
        """The present attempt failed and there will be another."""
        message = shorten(loss.message, MESSAGE_LIMIT)
        return TaskAttemptFailed(*self._of(task), loss.kind, message, True, task.offset)

    def ended(self, task: Task, report: Report) -> TaskCompleted | TaskFailed:
        """The call returned or raised."""
        measured = (report.run_time, report.cpu_time, report.peak_memory or None)
        if not report.kind:
            return TaskCompleted(
                *self._of(task),
                *measured,
                report.payload_format,
                *_sealed(report.payload),
                task.offset,
                payload_code=report.payload_code or None,
            )
        if _lacks_module(report):
            text = f"{report.message} (on the endpoint {self._name}: install it there, where its agent runs)"
            report = report._replace(message=text)
        said, code = _said(report)
        return TaskFailed(
            *self._of(task),
            shorten(report.kind, NAME_LIMIT),
            "",
            shorten(report.error_type, NAME_LIMIT) or None,
            None,
            *measured,
            FAILURE,
            *_sealed(said),
            task.offset,
            payload_code=code or None,
        )

    def failed(self, task: Task, loss: Loss) -> TaskFailed:
        """The task failed by something other than its function."""
        return TaskFailed(
            *self._of(task),
            kind=loss.kind,
            message=shorten(loss.message, MESSAGE_LIMIT),
            error_type=None,
            traceback=None,
            run_time=loss.run_time,
            cpu_time=None,
            peak_memory=loss.peak_memory,
            payload_format=None,
            payload_sha256=_NOTHING,
            payload_size=0,
            payload=b"",
            submission=task.offset,
        )

    def cancelled(self, task: Task, reason: str) -> TaskCancelled:
        """The task was cancelled."""
        return TaskCancelled(*self._of(task), reason, task.offset)


def _lacks_module(report: Report) -> bool:
    """Whether something is not installed here that the call needs."""
    if report.kind == "Exception":
        return report.error_type == "ModuleNotFoundError"
    return (
        report.kind in ("FunctionNotLoaded", "ArgumentsNotLoaded") and "ModuleNotFoundError" in report.message
    )


def _said(report: Report) -> tuple[bytes, str]:
    """The failure as a payload, and who can read the code in it.

    Without the exception, and so without its code, where both would be more than a payload may take.
    """
    texts = (shorten(report.message, MESSAGE_LIMIT), shorten(report.traceback, TRACEBACK_LIMIT) or None)
    said = pack_failure(*texts, report.payload_format or None, report.payload)
    if len(said) <= PAYLOAD_LIMIT:
        return said, report.payload_code
    return pack_failure(*texts, None, b""), ""


def _sealed(payload: bytes) -> tuple[str, int, bytes]:
    """Hash, size and bytes, as the last fields of an event."""
    return hashlib.sha256(payload).hexdigest(), len(payload), payload
