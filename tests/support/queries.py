"""A query side over a log and read models in memory, and short ways to write to the log."""

from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx2
from fastapi import FastAPI
from tests.support.apps import ADA, app_of, client_of
from tests.support.poll import until

from funcledger_event_log.memory import MemoryLog
from funcledger_event_log.records import NewRecord, Position, Record, Token, TopicPartition
from funcledger_projectors.batch import Batch
from funcledger_query_api.api import QuerySide
from funcledger_query_api.seen import Seen
from funcledger_query_api.stream import ResultStream
from funcledger_read_models.memory import MemoryStore
from funcledger_schemas import events as e
from funcledger_schemas import frames
from funcledger_schemas.envelope import BY_ENDPOINT, TOPICS
from funcledger_schemas.events import Event
from funcledger_schemas.ids import new_id
from funcledger_web.rates import Waits

PARTITIONS = 4
PARTITION = 1
ENDPOINT = "00000000-0000-7000-8000-00000000e001"
FUNCTION = "00000000-0000-7000-8000-00000000f001"


@dataclass
class Side:
    """A running query side; read models move only when :meth:`project` is called."""

    side: QuerySide
    app: FastAPI
    client: httpx2.AsyncClient
    log: MemoryLog
    store: MemoryStore

    def as_user(self, token: str | None) -> httpx2.AsyncClient:
        """A client with another token."""
        return client_of(self.app, token)

    async def append(self, *events: Event, partition: int = PARTITION) -> Token:
        """Append the events, each to its topic; the token of who has seen them."""
        records = [_placed(NewRecord.of(event, partition)) for event in events]
        return Token.after(await self.log.append(records))

    def stream(self, batch_id: str, seen: Seen, owner: str = "ada") -> AsyncGenerator[bytes]:
        """The frames of a stream, as the route sends them."""
        parts = (self.log, self.store, self.side.progress, self.side.feed)
        return ResultStream(*parts, owner=owner, batches=[batch_id], seen=seen).frames()

    async def fed(self) -> None:
        """Wait until the feed has come to the end of the log."""
        ends = {TopicPartition("results", at): end for at, end in (await self.log.ends("results")).items()}
        await until(lambda: self.side.feed.position.ends == {at: end for at, end in ends.items() if end})

    async def project(self, **ends: int) -> None:
        """Bring the read models to the end of the log, or to these offsets of some topics."""
        await project(self.log, self.store, ends)


def _placed(record: NewRecord) -> NewRecord:
    partition = record.partition if record.topic in BY_ENDPOINT else 0
    return NewRecord(record.topic, partition, record.key, record.headers, record.value)


async def project(log: MemoryLog, store: MemoryStore, stops: Mapping[str, int]) -> None:
    """One step of a projector: everything that is there, in one batch."""
    before = await store.positions()
    records: list[Record] = []
    after = dict(before)
    for topic in ("functions", "endpoints", "tasks", "results", "heartbeats"):
        for partition, end in (await log.ends(topic)).items():
            stop = min(end, stops.get(topic, end))
            start = before.get((topic, partition), 0)
            found = await log.read([Position(topic, partition, at) for at in range(start, stop)])
            records += [record for record in found if record is not None]
            after[topic, partition] = max(start, stop)
    batch = Batch(records)
    documents = await store.load(batch.wanted())
    changed = batch.fold(documents | await store.load(batch.wanted_then(documents)))
    await store.save(changed, after, before)


@asynccontextmanager
async def query_side(
    log: MemoryLog | None = None, store: MemoryStore | None = None, waits: Waits | None = None
) -> AsyncIterator[Side]:
    """A query side over a fresh log, where one agent of Ada's endpoint has started."""
    if log is None:
        log, store = MemoryLog(), MemoryStore()
        for topic in TOPICS:
            await log.create_topic(topic, PARTITIONS if topic in BY_ENDPOINT else 1)
        await log.append([_placed(NewRecord.of(each, PARTITION)) for each in (registered(), started())])
        await project(log, store, {})
    assert store is not None
    side = QuerySide(log, store, waits=waits)
    await side.start()
    app = app_of(*side.routers(), allowed_hosts=["*"])
    async with client_of(app, ADA) as client:
        yield Side(side, app, client, log, store)
    await side.stop()


def _base(actor: str = "user:ada") -> dict[str, Any]:
    return {"event_id": new_id(), "occurred_at": 0, "actor": actor}


def registered(endpoint_id: str = ENDPOINT, owner: str = "ada", **fields: Any) -> e.EndpointRegistered:
    values: dict[str, Any] = {
        "name": "lab", "description": None, "metadata": None, "public": False, "partition": PARTITION,
        "credential_sha256": "00", **fields,
    }  # fmt: skip
    return e.EndpointRegistered(**_base(), endpoint_id=endpoint_id, owner=owner, **values)


def started(endpoint_id: str = ENDPOINT, supersedes: int = -1) -> e.EndpointStarted:
    return e.EndpointStarted(
        **_base(), endpoint_id=endpoint_id, instance_id="i", supersedes=supersedes, host="h", platform="p",
        python_version="3.11", agent_version="0", engine="local", workers=2, distributions_sha256="",
    )  # fmt: skip


def function(function_id: str = FUNCTION, owner: str = "ada", **fields: Any) -> e.FunctionRegistered:
    values: dict[str, Any] = {
        "name": "square", "description": "Squares a number.", "metadata": '{"unit": "m"}', "public": False,
        "group": None, "python_version": "3.11", "dill_version": "0.4", "payload_format": "function/1",
        "payload_sha256": "ab", "payload_size": 4, "payload": b"code", **fields,
    }  # fmt: skip
    return e.FunctionRegistered(**_base(), function_id=function_id, owner=owner, **values)


@dataclass(frozen=True)
class Task:
    """One task, and the events about it."""

    task_id: str = field(default_factory=new_id)
    batch_id: str = field(default_factory=new_id)
    owner: str = "ada"
    endpoint_id: str = ENDPOINT
    epoch: int | None = 0

    def _key(self) -> dict[str, Any]:
        return {**_base(), "owner": self.owner, "task_id": self.task_id, "batch_id": self.batch_id,
                "endpoint_id": self.endpoint_id}  # fmt: skip

    def submitted(self, **fields: Any) -> e.TaskSubmitted:
        values: dict[str, Any] = {
            "batch_size": None, "batch_index": 3, "function_id": FUNCTION, "function_hash": "ab",
            "request_digest": "d", "walltime": None, "max_attempts": 3, "expires_in": 60,
            "resource_specification": None, "endpoint_config": None, "payload_format": "pickle",
            "payload_sha256": "ab", "payload_size": 4, "payload": b"args", **fields,
        }  # fmt: skip
        return e.TaskSubmitted(**self._key(), **values)

    def begun(self, attempt: int = 1) -> e.TaskStarted:
        return e.TaskStarted(**self._key(), epoch=self.epoch, attempt=attempt, worker="w")

    def completed(self, payload: bytes = b"value") -> e.TaskCompleted:
        return e.TaskCompleted(
            **self._key(), epoch=self.epoch, attempt=1, run_time=0.5, cpu_time=0.25, peak_memory=100,
            payload_format="pickle", payload_sha256="ab", payload_size=len(payload), payload=payload,
        )  # fmt: skip

    def failed(self, payload: bytes = b"error", traceback: str = "Traceback") -> e.TaskFailed:
        return e.TaskFailed(
            **self._key(), epoch=self.epoch, attempt=1, kind="Exception", message="division by zero",
            error_type="ZeroDivisionError", traceback=traceback, run_time=0.5, cpu_time=None,
            peak_memory=None, payload_format="pickle", payload_sha256="ab", payload_size=len(payload),
            payload=payload,
        )  # fmt: skip

    def cancelled(self) -> e.TaskCancelled:
        return e.TaskCancelled(**self._key(), epoch=None, attempt=0, reason="asked")


Answers = dict[str, tuple[dict[str, Any], bytes]]


def read_frame(frame: bytes) -> tuple[dict[str, Any], Answers]:
    """A frame's head, and its tasks by id beside their payloads."""
    head, start = frames.unpack(frame)
    payloads = frames.cut(frame, start, [task.get("size", 0) for task in head["tasks"]])
    return head, {task["task_id"]: (task, each) for task, each in zip(head["tasks"], payloads, strict=True)}


async def ask(
    client: httpx2.AsyncClient, ids: Sequence[str], wait: float = 0, token: Token | None = None
) -> tuple[dict[str, Any], Answers]:
    """The results of these tasks."""
    headers = {"Funcledger-Position": str(token)} if token else {}
    body = {"task_ids": list(ids), "wait": wait}
    response = await client.post("/v1/results", json=body, headers=headers)
    assert response.status_code == 200, response.text
    return read_frame(response.content)


async def heads(stream: AsyncIterator[bytes]) -> AsyncIterator[tuple[dict[str, Any], Answers]]:
    """The frames of a stream, signs of life left out."""
    splitter = frames.Splitter()
    async for data in stream:
        for frame in splitter.feed(data):
            if frame:
                yield read_frame(frame)
