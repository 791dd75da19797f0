"""How a task's results move a document on: the life-cycle rule, for the models that show a status."""

from funcledger_projectors.fold import Entry
from funcledger_read_models.documents import BatchResult, TaskStatus
from funcledger_schemas.events import (
    TaskAttemptFailed,
    TaskCancelled,
    TaskCompleted,
    TaskFailed,
    TaskStarted,
)
from funcledger_schemas.lifecycle import Life, Status, advance, status_of_outcome

_RUNNING, _RECEIVED = str(Status.RUNNING), str(Status.RECEIVED)
OUTCOMES = (TaskCompleted, TaskFailed, TaskCancelled)
#: The events of ``results`` that are about a task.
Progress = TaskStarted | TaskAttemptFailed | TaskCompleted | TaskFailed | TaskCancelled


def move(document: TaskStatus | BatchResult, entry: Entry[Progress]) -> bool:
    """Move the document on by one entry that counts; whether anything changed."""
    life = Life(document.attempts, document.running, document.outcome_offset)
    event = entry.event
    if not advance(life, entry.offset, event):
        return False
    document.attempts, document.running, document.outcome_offset = life.attempts, life.running, life.outcome
    if life.outcome is not None and isinstance(event, OUTCOMES):
        document.status = str(status_of_outcome(event))
        document.finished_at = entry.timestamp
    else:
        document.status = _RUNNING if life.running else _RECEIVED
    return True
