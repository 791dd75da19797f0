"""Finds an owner's tasks by id alone."""

from collections.abc import Collection

from funcledger_read_models.documents import TASK_STATUS, Key, TaskStatus
from funcledger_read_models.port import ReadModelStore

_PAGE = 2000


async def tasks_of(store: ReadModelStore, owner: str, ids: Collection[str]) -> dict[str, TaskStatus]:
    """The tasks that exist; where an id stands on several endpoints, the one submitted first."""
    found: dict[str, TaskStatus] = {}
    after: Key | None = None
    while ids:
        page = await store.find(TASK_STATUS, (owner,), {"task_id": ids}, after=after, limit=_PAGE)
        for task in page:
            assert isinstance(task, TaskStatus)
            other = found.get(task.task_id)
            if other is None or _submitted(task) < _submitted(other):
                found[task.task_id] = task
        if len(page) < _PAGE:
            break
        after = TASK_STATUS.key_of(page[-1])
    return found


def _submitted(task: TaskStatus) -> tuple[float, str]:
    """By append time; a submission not read yet comes last."""
    at = float("inf") if task.submitted_at is None else task.submitted_at
    return at, task.endpoint_id
