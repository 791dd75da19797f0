"""Law 9: a query waits until the read models have passed its token, or says how far they are behind."""

import asyncio

import pytest
from tests.support.deadlines import scaled
from tests.support.poll import until
from tests.support.queries import ENDPOINT, Task, ask, query_side, started

from funcledger_event_log.records import Token
from funcledger_query_api import queries, waiting
from funcledger_query_api.progress import Progress
from funcledger_read_models.port import StoreUnavailable
from funcledger_schemas.ids import new_id

POSITION = "Funcledger-Position"


async def test_a_query_waits_for_the_read_models_to_pass_its_token() -> None:
    async with query_side() as side:
        task = Task()
        token = await side.append(task.submitted())
        asking = asyncio.create_task(
            side.client.get(f"/v1/tasks/{task.task_id}", headers={POSITION: str(token)})
        )
        await until(lambda: side.side.progress.waiting == 1)
        await side.project()
        response = await asking
        assert response.json()["status"] == "received"
        answered = Token.parse(response.headers[POSITION])
        assert answered.merge(token).ends == answered.ends


async def test_whoever_keeps_the_read_models_is_told_when_somebody_waits_for_them() -> None:
    """Not of those whose outcomes land by themselves."""
    told: list[bool] = []
    async with query_side() as side:
        progress = Progress(side.store, told.append)
        token = await side.append(Task().submitted())
        waiting = [asyncio.create_task(progress.passed(token, 10, patient=patient)) for patient in (60, 0, 0)]
        await until(lambda: progress.waiting == 3)
        assert told == [True]
        await side.project()
        assert await asyncio.gather(*waiting) == [True] * 3
        assert told == [True, False]
        assert not await progress.passed(Token.parse("tasks:1:99"), 0.01, patient=60)
        assert told == [True, False]
        await progress.stop()


PATHS = (
    "tasks", "tasks/{id}", "tasks/{id}/history", "batches/{id}", "endpoints", "endpoints/{id}", "functions",
    "functions/{id}", "functions/{id}/body",
)  # fmt: skip


async def test_a_query_that_would_be_too_old_says_how_far_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queries, "PATIENCE", 0.02)
    monkeypatch.setattr(waiting, "PATIENCE", 0.02)
    async with query_side() as side:
        token = await side.append(*(Task().submitted() for _ in range(7)))
        for path in PATHS:
            response = await side.client.get(
                f"/v1/{path.format(id=new_id())}", headers={POSITION: str(token)}
            )
            assert (response.status_code, response.json()["type"]) == (
                503,
                "urn:funcledger:problem:behind",
            ), path
            assert response.json()["lag"] == {"tasks:1": 7}
            assert response.headers["Retry-After"] == "1"


async def test_with_the_projector_stopped_answers_without_a_token_still_come_and_say_as_of_when() -> None:
    async with query_side() as side:
        known, later = Task(), Task()
        await side.append(known.submitted())
        await side.project()
        as_of = str(await side.side.progress.now())
        await side.append(later.submitted())
        response = await side.client.get("/v1/tasks")
        assert [task["task_id"] for task in response.json()["tasks"]] == [known.task_id]
        assert response.json()["position"] == response.headers[POSITION] == as_of


async def test_many_waiters_share_one_look_at_the_store(monkeypatch: pytest.MonkeyPatch) -> None:
    looks = 0
    async with query_side() as side:
        look = side.store.positions

        async def counted() -> dict[tuple[str, int], int]:
            nonlocal looks
            looks += 1
            return await look()

        monkeypatch.setattr(side.store, "positions", counted)
        token = await side.append(Task().submitted())
        waiters = [asyncio.create_task(side.side.progress.passed(token, 5)) for _ in range(100)]
        await until(lambda: side.side.progress.waiting == 100)
        await side.project()
        assert await asyncio.gather(*waiters) == [True] * 100
        assert looks < 10


async def test_what_ended_before_is_told_though_the_read_models_are_behind_the_token() -> None:
    """An outcome that stands stays: only what is unfinished, or unknown, has to wait."""
    async with query_side() as side:
        old, new = Task(), Task()
        await side.append(old.submitted(), old.begun(), old.completed(b"old"))
        await side.project()
        token = await side.append(new.submitted())
        async with asyncio.timeout(scaled(10)):
            _, tasks = await ask(side.client, [old.task_id], 60, token)
        assert tasks[old.task_id][1] == b"old"
        asking = asyncio.create_task(ask(side.client, [old.task_id, new.task_id], 2, token))
        await until(lambda: side.side.progress.waiting == 1)
        await side.project()
        head, tasks = await asking
        assert head["unknown"] == []
        assert (tasks[old.task_id][1], tasks[new.task_id][0]["status"]) == (b"old", "received")


async def test_what_is_no_token_is_refused() -> None:
    async with query_side() as side:
        for token in ("x", "tasks:1", "tasks:a:1", "nowhere:1:1", f"tasks:1:{'9' * 20}"):
            response = await side.client.get("/v1/tasks", headers={POSITION: token})
            assert (response.status_code, response.json()["errors"][0]["field"]) == (422, POSITION)


async def test_a_store_that_cannot_be_reached_is_told_and_live_results_still_come(
    monkeypatch: pytest.MonkeyPatch,
) -> None:

    async def unavailable(*_args: object, **_fields: object) -> None:
        raise StoreUnavailable("gone")

    async with query_side() as side:
        # Of an agent that had begun before the server did, what begins might be a copy.
        task = Task(epoch=1)
        await side.append(started(supersedes=0))
        token = await side.append(task.submitted())
        for name in ("positions", "find", "load", "get"):
            monkeypatch.setattr(side.store, name, unavailable)
        asking = asyncio.create_task(ask(side.client, [task.task_id], 20, token))
        await until(lambda: side.side.feed.subscribers == 1)
        await side.append(task.begun(), task.completed(b"live"))
        _, tasks = await asking
        assert tasks[task.task_id][1] == b"live"
        response = await side.client.get(f"/v1/endpoints/{ENDPOINT}")
        problem = response.json()
        assert (response.status_code, problem["stale"]) == (503, True)
        assert problem["type"] == "urn:funcledger:problem:read-models-unavailable"
        assert int(response.headers["Retry-After"]) >= 1
        assert "gone" not in response.text
