"""Row 15: with the store down the projector pauses, commands are taken, and queries say how old they are."""

import asyncio
import sqlite3
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, closing
from pathlib import Path
from typing import Any

import httpx2
import pytest
from tests.support import parts
from tests.support.apps import ADA, app_of, client_of
from tests.support.commands import with_topics
from tests.support.deadlines import scaled
from tests.support.poll import until, until_sync
from tests.support.queries import PARTITION, Task, read_frame, registered, started
from tests.support.standalone import Standalone, standalone

from funcledger import Client
from funcledger_command_api.api import routers as command_routers
from funcledger_event_log.follower import Tail
from funcledger_event_log.memory import MemoryLog
from funcledger_event_log.records import NewRecord, Token
from funcledger_projectors.runner import Projector
from funcledger_query_api.api import QuerySide
from funcledger_query_api.freshness import STALE_AFTER
from funcledger_read_models.mongo import MongoStore
from funcledger_schemas.ids import new_id
from funcledger_web.catalogue import TOPICS, Catalogue


def squared(x: int) -> int:
    return x * x


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Standalone]:
    with standalone(tmp_path / "data", "--workers", "1") as running:
        yield running


def asked(client: Client, path: str, seen: str | None = None) -> httpx2.Response:
    """A query as another program sends it, which has seen only what it says."""
    headers = {"Authorization": f"Bearer {client.transport.server.token}"}
    headers |= {"Funcledger-Position": seen} if seen else {}
    return httpx2.get(client.transport.server.url + path, headers=headers, timeout=scaled(30))


def listed(client: Client) -> dict[str, Any]:
    answer = asked(client, "/v1/tasks")
    assert answer.status_code == 200
    found: dict[str, Any] = answer.json()
    return found


def test_row15_read_models_that_cannot_be_written_are_read_and_said_to_be_stale(server: Standalone) -> None:
    """Another process holds SQLite's one write lock, so nothing is saved, as on a full disk."""
    with server.client() as client, closing(sqlite3.connect(server.folder / "read_models.db")) as holder:
        function = client.register_function(squared)
        first = client.run(3, endpoint_id="local", function_id=function)
        assert client.get_result(first, timeout=scaled(20)) == 9
        until_sync(lambda: [task["status"] for task in listed(client)["tasks"]] == ["success"], 10)
        assert "stale" not in listed(client)

        holder.isolation_level = None
        holder.execute("BEGIN IMMEDIATE")
        held = time.time()
        second = client.run(4, endpoint_id="local", function_id=function)  # 202: law 1 holds without them
        until_sync(lambda: listed(client).get("stale"), 20)
        old = listed(client)
        assert [task["task_id"] for task in old["tasks"]] == [first]
        assert held - STALE_AFTER < old["as_of"] / 1000 < held + 1
        answer = asked(client, f"/v1/tasks/{second}", client.transport.seen.token)
        assert (answer.status_code, answer.json()["type"]) == (503, "urn:funcledger:problem:behind")
        assert int(answer.headers["Retry-After"]) >= 1
        third = client.run(5, endpoint_id="local", function_id=function)

        holder.execute("ROLLBACK")
        until_sync(lambda: "stale" not in listed(client), 30)
        until_sync(lambda: len(listed(client)["tasks"]) == 3, 10)
        assert client.get_result(second, timeout=scaled(20)) == 16
        assert client.get_result(third, timeout=scaled(20)) == 25


@asynccontextmanager
async def services(store: MongoStore) -> AsyncIterator[tuple[httpx2.AsyncClient, MemoryLog, Projector]]:
    """Command and query side and a projector over this store; a client of theirs."""
    log = MemoryLog()
    await with_topics(log)
    await log.append(
        [NewRecord.of(registered(owner="ada", partition=PARTITION), 0), NewRecord.of(started(), PARTITION)]
    )
    async with AsyncExitStack() as stack:
        catalogue = Catalogue()
        tail, query = Tail(log, TOPICS, catalogue.apply, name="catalogue"), QuerySide(log, store)
        projector = Projector(log, store)
        for part in (tail, query, projector):
            await part.start()
            stack.push_async_callback(part.stop)
        app = app_of(*command_routers(log, catalogue, tail), *query.routers())
        yield await stack.enter_async_context(client_of(app, ADA)), log, projector


async def register(client: httpx2.AsyncClient) -> httpx2.Response:
    body = {
        "function_id": new_id(), "name": "f", "python_version": "3.11", "dill_version": "0.4",
        "payload_format": "function/1", "payload": "Y29kZQ==",
    }  # fmt: skip
    return await client.post("/v1/functions", json=body)


@pytest.mark.distributed
async def test_row15_commands_are_taken_and_queries_ask_for_patience_while_the_database_is_gone(
    tmp_path: Path,
) -> None:
    """MongoDB is killed and comes back; what lands meanwhile is given from the log to who waits for it."""
    server = parts.own_mongo(tmp_path / "mongo")
    store = await MongoStore.open(f"mongodb://{server.address}/")
    try:
        async with services(store) as (client, log, projector):
            # Of an agent that began with this server: what it begins is no copy, so nobody need be asked.
            await log.append([NewRecord.of(started(supersedes=0), PARTITION)])
            task = Task(epoch=1)
            token = Token.after(await log.append([NewRecord.of(task.submitted(), PARTITION)]))
            known = f"/v1/tasks/{task.task_id}"
            await until(lambda: found(client, known), 30)
            server.kill()

            waiting = asyncio.create_task(
                client.post("/v1/results", json={"task_ids": [task.task_id], "wait": 30}, timeout=scaled(40))
            )
            done = await register(client)
            assert done.status_code in (200, 201, 202), done.text
            answer = await client.get(known, timeout=scaled(40))
            problem = answer.json()
            assert (answer.status_code, problem["stale"]) == (503, True)
            assert problem["type"] == "urn:funcledger:problem:read-models-unavailable"
            assert int(answer.headers["Retry-After"]) >= 1
            beyond = str(token.merge(Token.parse(f"results:{PARTITION}:1000")))
            answer = await client.get(known, headers={"Funcledger-Position": beyond}, timeout=scaled(40))
            assert answer.status_code == 503
            assert int(answer.headers["Retry-After"]) >= 1
            await log.append([NewRecord.of(each, PARTITION) for each in (task.begun(), task.completed())])
            _, tasks = read_frame((await waiting).content)
            assert tasks[task.task_id][1] == b"value"
            assert projector.failed is None

            server.start()
            await until(lambda: found(client, known), 40)
            await until(lambda: has_lag_of(projector, 0), 30)
            listed = (await client.get("/v1/functions")).json()
            assert [each["function_id"] for each in listed["functions"]] == [done.json()["function_id"]]
            await until(lambda: is_fresh(client), 5)
    finally:
        await store.close()
        server.stop()


async def found(client: httpx2.AsyncClient, path: str) -> bool:
    return (await client.get(path, timeout=scaled(40))).status_code == 200


async def is_fresh(client: httpx2.AsyncClient) -> bool:
    return "stale" not in (await client.get("/v1/functions")).json()


async def has_lag_of(projector: Projector, records: int) -> bool:
    return await projector.lag() == records
