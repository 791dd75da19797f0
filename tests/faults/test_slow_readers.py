"""Readers that do not read never grow the server's memory: real sockets, a real server, and what it takes."""

import asyncio
import hashlib
import pickle
import socket
from collections.abc import Iterator, Sequence
from contextlib import aclosing, contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest
from tests.support.deadlines import scaled
from tests.support.poll import until_sync
from tests.support.standalone import Standalone, standalone

from funcledger import Client
from funcledger_event_log.http import HttpEndpointLog
from funcledger_schemas.events import EndpointStarted, Event, TaskCompleted, TaskStarted, TaskSubmitted
from funcledger_schemas.ids import new_id

MIB = 1024 * 1024
#: Results and submissions go by in pieces of a MiB, many more of them than anybody may keep.
PAYLOAD = bytes(MIB)
COUNT = 240
#: What readers that do not read may cost: a full queue, frames on their way, and room to spare.
MOST = 120 * MIB


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Standalone]:
    with standalone(tmp_path / "data", "--no-endpoint") as running:
        yield running


def memory(server: Standalone) -> int:
    assert server._process is not None
    return psutil.Process(server._process.pid).memory_info().rss


@contextmanager
def deaf(server: Standalone, token: str, paths: Sequence[str]) -> Iterator[list[socket.socket]]:
    """Connections that ask for a stream each, take the head of the answer, and read no more."""
    made: list[socket.socket] = []
    try:
        for path in paths:
            connection = socket.create_connection(("127.0.0.1", server.port))
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            made.append(connection)
            head = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {token}\r\n\r\n"
            connection.sendall(head.encode())
            assert b"200 OK" in connection.recv(1024)
        yield made
    finally:
        for connection in made:
            connection.close()


class Fake:
    """An agent that only says what has become of tasks."""

    def __init__(self, url: str, made: dict[str, Any]) -> None:
        self._url, self._credential, self._endpoint_id = url, made["credential"], made["endpoint_id"]

    def finish(self, batch_id: str, task_ids: Sequence[str]) -> None:
        """Completes the tasks, each with a MiB."""
        asyncio.run(self._finish(batch_id, task_ids))

    async def _finish(self, batch_id: str, task_ids: Sequence[str]) -> None:
        log = HttpEndpointLog(self._url, self._credential)
        try:
            await log.identify()
            _, end = await log.ends()
            (epoch,) = await log.append([self._started(end)])
            places = await self._places(log, task_ids)
            for task_id in task_ids:
                about = self._about() | {"owner": "local", "task_id": task_id, "batch_id": batch_id}
                about |= {"epoch": epoch, "attempt": 1, "submission": places[task_id]}
                events: list[Event] = [TaskStarted(**about, worker="fake"), _completed(about)]
                await log.append(events)
        finally:
            await log.close()

    async def _places(self, log: HttpEndpointLog, task_ids: Sequence[str]) -> dict[str, int]:
        """Where each task was submitted."""
        found: dict[str, int] = {}
        async with aclosing(log.follow_tasks(0, credit=1000, credit_bytes=MIB)) as batches:
            async for batch in batches:
                found |= {
                    event.task_id: record.offset
                    for record in batch
                    if isinstance(event := record.event(), TaskSubmitted)
                }
                if found.keys() >= set(task_ids):
                    break
        return found

    def _about(self) -> dict[str, Any]:
        actor = f"endpoint:{self._endpoint_id}"
        return {"event_id": new_id(), "occurred_at": 1, "actor": actor, "endpoint_id": self._endpoint_id}

    def _started(self, end: int) -> EndpointStarted:
        return EndpointStarted(
            **self._about(), instance_id=new_id(), supersedes=end - 1 if end else -1, host="h", platform="p",
            python_version="3", agent_version="0", engine="fake", workers=1, distributions_sha256="",
        )  # fmt: skip


def _completed(about: dict[str, Any]) -> TaskCompleted:
    payload = pickle.dumps(PAYLOAD)
    return TaskCompleted(
        **{**about, "event_id": new_id()}, run_time=0.0, cpu_time=0.0, peak_memory=None,
        payload_format="pickle", payload_sha256=hashlib.sha256(payload).hexdigest(),
        payload_size=len(payload), payload=payload,
    )  # fmt: skip


def submitted(client: Client, endpoint_id: str, count: int, argument: bytes = b"") -> tuple[str, list[str]]:
    """Tasks of one batch; its id and theirs."""
    batch = client.create_batch()
    function = client.register_function(len)
    for _ in range(count):
        batch.add(argument, endpoint_id=endpoint_id, function_id=function)
    return batch.task_group_id, client.batch_run(batch)


def test_a_stream_of_results_that_nobody_reads(server: Standalone) -> None:
    with server.client() as client:
        made = client.register_endpoint("lab")
        agent = Fake(server.url, made)
        # The server's own caches fill up first.
        agent.finish(*submitted(client, made["endpoint_id"], 100))
        batch_id, tasks = submitted(client, made["endpoint_id"], COUNT)
        before = memory(server)
        path = f"/v1/results/stream?batch_id={batch_id}"
        with deaf(server, client.transport.server.token, [path] * 3):
            agent.finish(batch_id, tasks[: COUNT // 2])
            halfway = memory(server)
            agent.finish(batch_id, tasks[COUNT // 2 :])
            after = memory(server)
            # And others get what is theirs.
            assert client.get_result(tasks[-1], timeout=scaled(20)) == PAYLOAD
    assert after - before < MOST, f"{(after - before) / MIB:.0f} MiB more for {COUNT} MiB of results"
    assert after - halfway < MOST / 2


def test_a_feed_of_tasks_that_an_agent_does_not_read(server: Standalone) -> None:
    with server.client() as client:
        made = client.register_endpoint("lab")
        submitted(client, made["endpoint_id"], 100, PAYLOAD)
        before = memory(server)
        path = f"/v1/gateway/tasks?start=0&credit=1000000&credit_bytes={10**12}"
        with deaf(server, made["credential"], [path] * 3):
            submitted(client, made["endpoint_id"], COUNT, PAYLOAD)
            until_sync(lambda: client.get_endpoint_status("lab")["status"] == "offline")
            after = memory(server)
    assert after - before < MOST, f"{(after - before) / MIB:.0f} MiB more for {COUNT} MiB of submissions"
