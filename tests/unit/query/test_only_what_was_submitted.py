"""A task is what somebody submitted: asking to cancel an id, or speaking of one, makes none."""

from tests.support.queries import ENDPOINT, Side, Task, query_side

from funcledger_schemas import events as e
from funcledger_schemas.ids import new_id


def cancel(task: Task) -> e.TaskCancelRequested:
    return e.TaskCancelRequested(
        event_id=new_id(), occurred_at=0, actor="user:ada", endpoint_id=ENDPOINT, owner=task.owner,
        task_id=task.task_id, batch_id=task.batch_id,
    )  # fmt: skip


async def status(side: Side, path: str) -> int:
    return (await side.client.get(path)).status_code


async def test_cancelling_an_id_that_was_never_submitted_makes_no_task() -> None:
    async with query_side() as side:
        unknown, real = Task(), Task()
        await side.append(cancel(unknown), real.submitted())
        await side.project()
        assert await status(side, f"/v1/tasks/{unknown.task_id}") == 404
        assert await status(side, f"/v1/tasks/{unknown.task_id}/history") == 404
        listed = (await side.client.get("/v1/tasks")).json()["tasks"]
        assert [task["task_id"] for task in listed] == [real.task_id]
        # The cancel may have been read before the submission it is about.
        await side.append(unknown.submitted())
        await side.project()
        shown = (await side.client.get(f"/v1/tasks/{unknown.task_id}")).json()
        assert (shown["cancel_requested"], shown["submitted_at"] is None) == (True, False)


async def test_an_agent_that_speaks_of_tasks_nobody_submitted_puts_none_into_a_list_or_a_batch() -> None:
    async with query_side() as side:
        real, made_up = Task(), Task()
        lying = Task(task_id=real.task_id, batch_id=made_up.batch_id)
        await side.append(made_up.begun(), made_up.completed(), lying.begun())
        await side.append(real.submitted())
        await side.append(lying.completed())
        await side.project()
        assert await status(side, f"/v1/tasks/{made_up.task_id}") == 404
        assert await status(side, f"/v1/batches/{made_up.batch_id}") == 404
        shown = (await side.client.get(f"/v1/tasks/{real.task_id}")).json()
        assert (shown["batch_id"], shown["status"]) == (real.batch_id, "received")
        batch = (await side.client.get(f"/v1/batches/{real.batch_id}")).json()
        assert [task["task_id"] for task in batch["tasks"]] == [real.task_id]


async def test_the_batch_of_a_task_is_the_submissions_whatever_was_read_first() -> None:
    """Law 4, also for an agent that names another batch."""
    shown = []
    for tasks_first in (True, False):
        async with query_side() as side:
            real = Task(task_id="00000000-0000-7000-8000-00000000a001", batch_id=ENDPOINT)
            lying = Task(task_id=real.task_id)
            await side.append(real.submitted())
            await side.append(lying.begun(), lying.completed())
            await side.project(**({"results": 1} if tasks_first else {"tasks": 0}))
            await side.project()
            shown.append((await side.client.get("/v1/tasks", params={"batch_id": ENDPOINT})).json()["tasks"])
    assert [[task["status"] for task in tasks] for tasks in shown] == [["received"], ["received"]]
