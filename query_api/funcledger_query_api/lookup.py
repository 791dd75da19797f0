"""Finds an owner's tasks by id alone."""

from collections.abc import Collection

from funcledger_read_models.documents import TASK_STATUS, Key, TaskStatus
from funcledger_read_models.port import ReadModelStore

_PAGE = 2000


async def tasks_of(store: ReadModelStore, owner: str, ids: Collection[str]) -> dict[str, TaskStatus]:
    """The tasks that were submitted; where an id stands on several endpoints, the one submitted first."""
    found: dict[str, TaskStatus] = {}
    after: Key | None = None
    while ids:
        page = await store.find(TASK_STATUS, (owner,), {"task_id": ids}, after=after, limit=_PAGE)
        for task in page:
            assert isinstance(task, TaskStatus)
            if not is_submitted(task):
                continue
            other = found.get(task.task_id)
            if other is None or _place(task) < _place(other):
                found[task.task_id] = task
        if len(page) < _PAGE:
            break
        after = TASK_STATUS.key_of(page[-1])
    return found


def is_submitted(task: TaskStatus) -> bool:
    """Whether there is such a task: one may ask to cancel, and an agent speak of, any id at all."""
    return task.submitted_offset is not None


def _place(task: TaskStatus) -> tuple[int, str]:
    return task.submitted_at or 0, task.endpoint_id
