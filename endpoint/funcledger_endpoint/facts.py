"""The events an agent writes of tasks, all in its own epoch."""

import hashlib
from typing import Any

from funcledger_endpoint.engine import Loss
from funcledger_endpoint.report import Report
from funcledger_endpoint.task import Task
from funcledger_schemas import clock
from funcledger_schemas.events import TaskAttemptFailed, TaskCancelled, TaskCompleted, TaskFailed, TaskStarted
from funcledger_schemas.ids import new_id


class Facts:
    """Makes events of one endpoint and epoch."""

    def __init__(self, endpoint_id: str, epoch: int) -> None:
        self.endpoint_id = endpoint_id
        self.epoch = epoch
        self.actor = f"endpoint:{endpoint_id}"

    def _of(self, task: Task) -> dict[str, Any]:
        """The fields that all of them have."""
        return {
            "event_id": new_id(),
            "occurred_at": clock.micros(),
            "actor": self.actor,
            "endpoint_id": self.endpoint_id,
            "owner": task.owner,
            "task_id": task.task_id,
            "batch_id": task.batch_id,
            "epoch": self.epoch,
            "attempt": task.attempts,
        }

    def started(self, task: Task, worker: str) -> TaskStarted:
        """A worker has begun the task's present attempt."""
        return TaskStarted(**self._of(task), worker=worker)

    def attempt_failed(self, task: Task, loss: Loss) -> TaskAttemptFailed:
        """The present attempt failed and there will be another."""
        return TaskAttemptFailed(**self._of(task), kind=loss.kind, message=loss.message, will_retry=True)

    def ended(self, task: Task, report: Report) -> TaskCompleted | TaskFailed:
        """The call returned or raised."""
        fields = self._of(task)
        fields |= {
            "run_time": report.run_time,
            "cpu_time": report.cpu_time,
            "peak_memory": report.peak_memory or None,
            "payload_sha256": hashlib.sha256(report.payload).hexdigest(),
            "payload_size": len(report.payload),
            "payload": report.payload,
        }
        if not report.kind:
            return TaskCompleted(**fields, payload_format=report.payload_format)
        return TaskFailed(
            **fields,
            kind=report.kind,
            message=report.message,
            error_type=report.error_type or None,
            traceback=report.traceback or None,
            payload_format=report.payload_format or None,
        )

    def failed(self, task: Task, loss: Loss) -> TaskFailed:
        """The task failed by something other than its function."""
        return TaskFailed(
            **self._of(task),
            kind=loss.kind,
            message=loss.message,
            error_type=None,
            traceback=None,
            run_time=loss.run_time,
            cpu_time=None,
            peak_memory=loss.peak_memory,
            payload_format=None,
            payload_sha256=hashlib.sha256(b"").hexdigest(),
            payload_size=0,
            payload=b"",
        )

    def cancelled(self, task: Task, reason: str) -> TaskCancelled:
        """The task was cancelled."""
        return TaskCancelled(**self._of(task), reason=reason)
