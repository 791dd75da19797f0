"""Remembers tasks by the hundred thousand in little memory."""

#: Whose task it is: all that tells apart those who may use the same task id.
Scope = tuple[str, ...]
_UUID_LENGTH = 36


class RecentTasks:
    """Tasks in two generations: at least the last ``capacity`` added are there, at most twice as many.

    A UUID is kept as its number. That takes a third of what its text and a tuple around it take, and, what
    matters more, has a size that little else has: texts that stay among those that come and go leave holes
    in memory, and everything that is made in such holes is slower to reach.
    """

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._count = 0
        self._young: dict[Scope, set[int | str]] = {}
        self._old: dict[Scope, set[int | str]] = {}

    def has(self, scope: Scope, task_id: str) -> bool:
        """Whether it is remembered."""
        task = _packed(task_id)
        return task in self._young.get(scope, ()) or task in self._old.get(scope, ())

    def add(self, scope: Scope, task_id: str) -> bool:
        """Remember a task; True when a generation was forgotten to make room."""
        tasks, task = self._young.setdefault(scope, set()), _packed(task_id)
        self._count += task not in tasks
        tasks.add(task)
        if self._count < self._capacity:
            return False
        self._old, self._young, self._count = self._young, {}, 0
        return True


def _packed(task_id: str) -> int | str:
    """Ids that differ in case alone are one; no API takes but lower case."""
    try:
        return int(task_id.replace("-", ""), 16) if len(task_id) == _UUID_LENGTH else task_id
    except ValueError:
        return task_id
