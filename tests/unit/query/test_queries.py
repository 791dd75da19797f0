"""Status, lists, history, batches, endpoints and functions: what they show, to whom, and what they refuse."""

import asyncio
from typing import Any
from unittest.mock import patch

import msgspec
from tests.support.apps import BOB, READER
from tests.support.apps import ENDPOINT as ENDPOINT_TOKEN
from tests.support.deadlines import scaled
from tests.support.poll import until
from tests.support.queries import ENDPOINT, FUNCTION, Side, Task, function, query_side, registered

from funcledger_event_log.records import NewRecord
from funcledger_query_api.freshness import Freshness
from funcledger_read_models.liveness import OFFLINE_AFTER
from funcledger_schemas import clock
from funcledger_schemas import events as e
from funcledger_schemas.ids import new_id


def beat(**fields: Any) -> e.EndpointHeartbeat:
    values: dict[str, Any] = {
        "event_id": new_id(), "occurred_at": 0, "actor": f"endpoint:{ENDPOINT}", "endpoint_id": ENDPOINT,
        "instance_id": "i", "epoch": 0, "workers": 4, "busy": 1, "queued": 2, "cores": 8,
        "memory_total": 10, "memory_available": 5, "load": 0.5,
    }  # fmt: skip
    return e.EndpointHeartbeat(**{**values, **fields})


async def get(side: Side, path: str, token: str | None = None, **params: Any) -> Any:
    client = side.as_user(token) if token else side.client
    response = await client.get(path, params=params)
    assert response.status_code == 200, response.text
    return response.json()


async def problem(side: Side, path: str, token: str | None = None, **params: Any) -> tuple[int, str]:
    client = side.as_user(token) if token else side.client
    response = await client.get(path, params=params)
    assert response.headers["content-type"] == "application/problem+json"
    return response.status_code, response.json()["type"].rpartition(":")[2]


def offline_by_now() -> Any:
    """The log's time is so late that every agent seems to be gone."""
    return patch.object(Freshness, "now", lambda _self: clock.millis() + OFFLINE_AFTER + 5000)


async def test_a_task_is_shown_as_it_goes_through_its_life() -> None:
    async with query_side() as side:
        task = Task()
        path = f"/v1/tasks/{task.task_id}"
        await side.append(task.submitted())
        await side.project()
        shown = await get(side, path)
        assert (shown["status"], shown["pending"], shown["batch_index"]) == ("received", True, 3)
        with offline_by_now():
            assert (await get(side, path))["status"] == "waiting-for-endpoint"
            waiting = await get(side, "/v1/tasks", status="waiting-for-endpoint")
            assert [each["task_id"] for each in waiting["tasks"]] == [task.task_id]
            assert (await get(side, "/v1/tasks", status="received"))["tasks"] == []
        await side.append(task.begun(), partition=1)
        await side.project()
        assert (await get(side, path))["status"] == "running"
        await side.append(task.failed())
        await side.project()
        shown = await get(side, path)
        assert (shown["status"], shown["pending"], shown["attempts"]) == ("failed", False, 1)
        assert (shown["message"], shown["traceback"]) == ("division by zero", "Traceback")


async def test_a_listing_tells_why_a_task_failed_and_what_its_function_is_called() -> None:
    async with query_side() as side:
        task = Task()
        long = msgspec.structs.replace(task.failed(), message="x" * 1000 + "\nand more")
        await side.append(function(), task.submitted())
        await side.append(task.begun(), long)
        await side.project()
        (listed,) = (await get(side, "/v1/tasks"))["tasks"]
        assert (listed["kind"], listed["error_type"], listed["message"]) == (
            long.kind, long.error_type, "x" * 200,
        )  # fmt: skip
        assert (listed["function_name"], listed["traceback"]) == ("square", None)


async def test_a_task_began_at_least_as_long_before_its_end_as_it_ran() -> None:
    """Although the report of its beginning may come to the log together with its end."""
    async with query_side() as side:
        task = Task()
        await side.append(task.submitted())
        await side.append(task.begun(), task.completed())
        await side.project()
        for path in (f"/v1/tasks/{task.task_id}", "/v1/tasks"):
            told = await get(side, path)
            shown = told["tasks"][0] if "tasks" in told else told
            assert shown["finished_at"] - shown["started_at"] >= 1000 * shown["run_time"] > 0


async def test_tasks_are_listed_newest_first_page_by_page_and_filtered() -> None:
    async with query_side() as side:
        tasks = [Task() for _ in range(5)]
        await side.append(*(task.submitted() for task in tasks), Task(owner="bob").submitted())
        await side.append(tasks[0].begun(), tasks[0].completed())
        await side.project()
        listed: list[str] = []
        page: dict[str, Any] = {"cursor": None}
        while page["cursor"] or not listed:
            params = {"cursor": page["cursor"]} if page["cursor"] else {}
            page = await get(side, "/v1/tasks", limit=2, **params)
            listed += [task["task_id"] for task in page["tasks"]]
        assert listed == sorted((task.task_id for task in tasks), reverse=True)
        done = await get(side, "/v1/tasks", status="success", endpoint_id=ENDPOINT)
        assert [task["task_id"] for task in done["tasks"]] == [tasks[0].task_id]
        of_batch = await get(side, "/v1/tasks", batch_id=tasks[1].batch_id)
        assert [task["task_id"] for task in of_batch["tasks"]] == [tasks[1].task_id]


async def test_attack_20_21_filters_are_allow_listed() -> None:
    refused: list[tuple[str, dict[str, str]]] = [
        ("/v1/tasks", {"status": '{"$gt":""}'}),
        ("/v1/tasks", {"status[$gt]": ""}),
        ("/v1/tasks", {"endpoint_id": "' OR 1=1 --"}),
        ("/v1/tasks", {"owner": "bob"}),
        ("/v1/tasks", {"limit": "0"}),
        ("/v1/tasks", {"limit": "100000"}),
        ("/v1/tasks", {"cursor": "a/b/c"}),
        ("/v1/tasks", {"cursor": '{"$gt":""}'}),
        ("/v1/tasks/NOT-AN-ID", {}),
        (f"/v1/tasks/{FUNCTION}", {"wait": "nan"}),
        (f"/v1/tasks/{FUNCTION}", {"wait": "1e9"}),
        ("/v1/functions", {"search": "x" * 201}),
        ("/v1/functions", {"offset": "-1"}),
        ("/v1/functions", {"role": "admin"}),
        ("/v1/results/stream", {}),
        ("/v1/results/stream", {"batch_id": "%"}),
    ]
    async with query_side() as side:
        for path, params in refused:
            assert await problem(side, path, **params) == (422, "invalid-request"), (path, params)


async def test_a_malformed_request_for_results_is_refused() -> None:
    bodies: list[Any] = [
        {}, {"task_ids": []}, {"task_ids": ["x"]}, {"task_ids": [FUNCTION], "owner": "bob"},
        {"task_ids": [FUNCTION] * 10_001}, {"task_ids": [FUNCTION], "wait": -1}, [], "x",
    ]  # fmt: skip
    async with query_side() as side:
        for body in bodies:
            response = await side.client.post("/v1/results", json=body)
            assert response.status_code == 422, body
            assert response.json()["type"] == "urn:funcledger:problem:invalid-request"


async def test_a_history_tells_every_event_from_the_log_but_no_payload() -> None:
    async with query_side() as side:
        task = Task()
        await side.append(task.submitted())
        await side.append(task.begun(), task.completed(), task.failed())
        await side.project()
        history = await get(side, f"/v1/tasks/{task.task_id}/history")
        assert [each["type"] for each in history["events"]] == [
            "TaskSubmitted", "TaskStarted", "TaskCompleted", "TaskFailed",
        ]  # fmt: skip
        first, _, completed, _ = history["events"]
        assert (first["topic"], first["partition"], first["offset"]) == ("tasks", 1, 0)
        assert completed["event"]["payload_size"] == 5
        assert "payload" not in completed["event"]


async def test_a_batch_is_counted_and_listed() -> None:
    async with query_side() as side:
        batch = new_id()
        tasks = [Task(batch_id=batch) for _ in range(5)]
        await side.append(*(task.submitted(batch_size=8) for task in tasks))
        await side.append(tasks[0].begun(), tasks[0].completed(), tasks[1].begun())
        await side.project()
        shown = await get(side, f"/v1/batches/{batch}", limit=3)
        assert (shown["total"], shown["counts"]) == (8, {"success": 1, "running": 1, "received": 3})
        more = await get(side, f"/v1/batches/{batch}", limit=3, cursor=shown["cursor"])
        assert (more["counts"], more["cursor"]) == (None, None)
        listed = [each["task_id"] for each in shown["tasks"] + more["tasks"]]
        assert listed == sorted(task.task_id for task in tasks)


async def test_attack_02_what_is_somebody_elses_is_not_found() -> None:
    async with query_side() as side:
        task = Task()
        await side.log.append([NewRecord.of(function(), 0)])
        await side.append(task.submitted(), task.begun(), task.completed())
        await side.project()
        for path, slug in [
            (f"/v1/tasks/{task.task_id}", "task-not-found"),
            (f"/v1/tasks/{task.task_id}/history", "task-not-found"),
            (f"/v1/batches/{task.batch_id}", "batch-not-found"),
            (f"/v1/endpoints/{ENDPOINT}", "endpoint-not-found"),
            ("/v1/endpoints/lab", "endpoint-not-found"),
            (f"/v1/functions/{FUNCTION}", "function-not-found"),
            (f"/v1/functions/{FUNCTION}/body", "function-not-found"),
        ]:
            assert (await side.client.get(path)).status_code == 200
            assert await problem(side, path, BOB) == (404, slug)
        assert (await get(side, "/v1/tasks", BOB))["tasks"] == []
        assert (await get(side, "/v1/endpoints", BOB))["endpoints"] == []
        assert (await get(side, "/v1/functions", BOB))["functions"] == []


async def test_attack_03_04_scopes_and_kinds_of_token_are_told_apart() -> None:
    async with query_side() as side:
        assert (await get(side, "/v1/tasks", READER))["tasks"] == []
        assert await problem(side, "/v1/functions", READER) == (403, "forbidden")
        assert await problem(side, "/v1/tasks", ENDPOINT_TOKEN) == (403, "forbidden")


async def test_an_endpoint_tells_how_busy_it_is_while_it_is_online() -> None:
    async with query_side() as side:
        await side.append(beat())
        await side.project()
        by_name, by_id = await get(side, "/v1/endpoints/lab"), await get(side, f"/v1/endpoints/{ENDPOINT}")
        assert by_name == by_id
        assert (by_id["status"], by_id["workers"], by_id["idle"], by_id["outstanding"]) == ("online", 4, 3, 3)
        assert by_id["waiting"] is None
        done = Task()
        await side.append(
            Task().submitted(), Task().submitted(), Task(owner="bob").submitted(), done.submitted()
        )
        await side.append(done.begun(), done.completed())
        await side.project()
        with offline_by_now():
            offline = await get(side, f"/v1/endpoints/{ENDPOINT}")
            (listed,) = (await get(side, "/v1/endpoints"))["endpoints"]
        assert (offline["status"], offline["busy"], offline["cores"]) == ("offline", None, 8)
        assert offline["waiting"] == listed["waiting"] == 2, "one's own that have not ended"


async def test_what_is_shared_or_public_is_found_and_may_be_told_apart_from_ones_own() -> None:
    async with query_side() as side:
        shared, public, own, hidden, gone = (new_id() for _ in range(5))
        base: dict[str, Any] = {"event_id": new_id(), "occurred_at": 0, "actor": "user:ada"}
        grant = e.FunctionShared(**base, function_id=shared, owner="ada", grantee_kind="user", grantee="bob")
        deleted = e.FunctionDeleted(**base, function_id=gone, owner="bob")
        for event in (
            function(shared, name="Integrate"), function(public, public=True), function(own, owner="bob"),
            function(hidden), grant, function(gone, owner="bob"), deleted,
            registered(public, name="cluster", public=True),
        ):  # fmt: skip
            await side.log.append([NewRecord.of(event, 0)])
        await side.project()
        found = await get(side, "/v1/functions", BOB)
        assert {each["function_id"] for each in found["functions"]} == {shared, public, own}
        mine = await get(side, "/v1/functions", BOB, role="owner")
        assert [each["function_id"] for each in mine["functions"]] == [own]
        searched = await get(side, "/v1/functions", BOB, search="INTEGR")
        assert [each["name"] for each in searched["functions"]] == ["Integrate"]
        page = await get(side, "/v1/functions", BOB, search="squares", limit=2, offset=2)
        assert (len(page["functions"]), page["total"]) == (1, 3)
        assert (await get(side, "/v1/endpoints", BOB))["endpoints"][0]["name"] == "cluster"
        body = await side.as_user(BOB).get(f"/v1/functions/{shared}/body")
        assert body.content == b"code"
        assert await problem(side, f"/v1/functions/{gone}", BOB) == (404, "function-not-found")


async def test_a_status_can_be_waited_for() -> None:
    async with query_side() as side:
        task = Task()
        await side.append(task.submitted())
        await side.project()
        asking = asyncio.create_task(get(side, f"/v1/tasks/{task.task_id}", wait=30))
        await until(lambda: side.side.feed.subscribers == 1)
        await side.append(task.begun(), task.completed())
        async with asyncio.timeout(scaled(5)):
            shown = await asking
        assert (shown["status"], shown["function_id"]) == ("success", FUNCTION)
        await side.project()
        assert await problem(side, f"/v1/tasks/{new_id()}", wait=5) == (404, "task-not-found")


async def test_every_answer_is_described() -> None:
    async with query_side() as side:
        paths = (await get(side, "/openapi.json"))["paths"]
        assert len(paths) >= 12
        for path, methods in paths.items():
            for operation in methods.values():
                assert operation["summary"], path
                answers = operation["responses"]
                assert "204" in answers or answers["200"]["content"], path
