"""What is remembered of the tasks that ended last."""

from funcledger_schemas.ids import new_id
from funcledger_schemas.recent_tasks import RecentTasks


def test_the_last_tasks_are_remembered_each_for_its_own_scope_and_at_most_twice_as_many() -> None:
    tasks = RecentTasks(100)
    ids = [new_id() for _ in range(250)]
    forgot = [tasks.add(("ada",), task_id) for task_id in ids]
    assert [number for number, yes in enumerate(forgot, 1) if yes] == [100, 200]
    assert [tasks.has(("ada",), task_id) for task_id in ids] == [False] * 100 + [True] * 150
    assert not any(tasks.has(("bob",), task_id) for task_id in ids)


def test_what_is_no_uuid_is_remembered_too() -> None:
    """Anybody may write to a topic; an id that is not one of ours must not stop those who read it."""
    tasks = RecentTasks(100)
    for odd in ("", "no number", "ü", "x" * 36):
        assert not tasks.has((), odd)
        tasks.add((), odd)
        assert tasks.has((), odd)
