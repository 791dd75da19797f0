"""A command side over a log in memory, and requests to it as a client makes them."""

import asyncio
import base64
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx2
from fastapi import FastAPI
from tests.support.apps import ADA, app_of, client_of

from funcledger_command_api.api import routers
from funcledger_command_api.backlog import Backlog
from funcledger_event_log.follower import Tail
from funcledger_event_log.memory import MemoryLog
from funcledger_event_log.port import EventLog
from funcledger_event_log.records import NewRecord, Position, Record, TopicPartition
from funcledger_schemas import frames
from funcledger_schemas.envelope import BY_ENDPOINT, TOPICS
from funcledger_schemas.events import TaskSubmitted
from funcledger_schemas.ids import new_id
from funcledger_web import catalogue
from funcledger_web.catalogue import Catalogue

PARTITIONS = 4
FRAME = {"Content-Type": frames.MEDIA_TYPE}


async def with_topics(log: EventLog) -> EventLog:
    """The log with every topic."""
    for topic in TOPICS:
        await log.create_topic(topic, PARTITIONS if topic in BY_ENDPOINT else 1)
    return log


class Moody(MemoryLog):
    """A log in memory that raises, on the next append to ``tasks``, what it was told to."""

    mood: Exception | None = None
    #: Whether the records are written all the same, as after a lost acknowledgement.
    writes = False

    async def append(self, records: Sequence[NewRecord]) -> list[Position]:
        if self.mood is None or records[0].topic != "tasks":
            return await super().append(records)
        mood, self.mood = self.mood, None
        if self.writes:
            await super().append(records)
        await asyncio.sleep(0)
        raise mood


@dataclass
class Side:
    """A running command side: its app, a client (Ada), its log, and what it knows."""

    app: FastAPI
    client: httpx2.AsyncClient
    log: EventLog
    catalogue: Catalogue
    tail: Tail

    def as_user(self, token: str | None) -> httpx2.AsyncClient:
        """A client with another token."""
        return client_of(self.app, token)

    async def records(self, topic: str) -> list[Record]:
        """Every record of a topic."""
        ends = await self.log.ends(topic)
        found: list[Record] = []
        if any(ends.values()):
            start = {TopicPartition(topic, partition): 0 for partition in ends}
            async for batch in self.log.follow(start):
                found += batch
                if len(found) == sum(ends.values()):
                    break
        return found

    async def register(self, payload: bytes = b"code", **fields: Any) -> str:
        """Registers a function and answers its id."""
        response = await self.client.post(
            "/v1/functions", content=function_frame(payload, **fields), headers=FRAME
        )
        assert response.status_code == 201, response.text
        return str(response.json()["function_id"])

    async def endpoint(self, name: str = "lab", **fields: Any) -> str:
        """Registers an endpoint and answers its id."""
        response = await self.client.post("/v1/endpoints", json=endpoint_json(name, **fields))
        assert response.status_code == 201, response.text
        return str(response.json()["endpoint_id"])


@asynccontextmanager
async def command_side(log: EventLog | None = None, backlog: Backlog | None = None) -> AsyncIterator[Side]:
    """A command side over a fresh log in memory, or over the one given."""
    log = log or await with_topics(MemoryLog())
    known = Catalogue()
    tail = Tail(log, catalogue.TOPICS, known.apply, name="catalogue")
    await tail.start()
    app = app_of(*routers(log, known, tail, backlog))
    async with client_of(app, ADA) as client:
        yield Side(app, client, log, known, tail)
    await tail.stop()


def function_head(**fields: Any) -> dict[str, Any]:
    """What a function is registered with."""
    return {
        "function_id": new_id(),
        "name": "square",
        "python_version": "3.11.7",
        "dill_version": "0.4.1",
        "payload_format": "function/1",
        **fields,
    }


def function_frame(payload: bytes = b"code", **fields: Any) -> bytes:
    """A function as the SDK sends it."""
    return frames.pack({**function_head(**fields), "size": len(payload)}, [payload])


def endpoint_json(name: str = "lab", **fields: Any) -> dict[str, Any]:
    """What an endpoint is registered with."""
    return {
        "endpoint_id": new_id(),
        "name": name,
        "credential_sha256": new_id().replace("-", "") * 2,
        **fields,
    }


def group(endpoint_id: str, function_id: str, payloads: Sequence[bytes], **fields: Any) -> dict[str, Any]:
    """A group of tasks in a frame's head."""
    return {
        "endpoint_id": endpoint_id,
        "function_id": function_id,
        "payload_format": "pickle",
        "task_ids": [new_id() for _ in payloads],
        "batch_indexes": list(range(len(payloads))),
        "sizes": [len(payload) for payload in payloads],
        **fields,
    }


def task_frame(groups: Sequence[dict[str, Any]], payloads: Sequence[bytes], **fields: Any) -> bytes:
    """Tasks as the SDK sends them."""
    return frames.pack({"batch_id": new_id(), "batch_size": None, "groups": list(groups), **fields}, payloads)


def base64_of(payload: bytes) -> str:
    """A payload as JSON carries it."""
    return base64.b64encode(payload).decode()


async def post_tasks(side: Side, body: bytes) -> httpx2.Response:
    """A frame of tasks, posted by Ada."""
    return await side.client.post("/v1/tasks", content=body, headers=FRAME)


async def submitted(side: Side) -> list[TaskSubmitted]:
    """Every TaskSubmitted on the log, which must hold no other event of tasks."""
    found = [record.event() for record in await side.records("tasks")]
    submissions = [event for event in found if isinstance(event, TaskSubmitted)]
    assert submissions == found
    return submissions


def slug_of(response: httpx2.Response) -> str:
    """What kind of problem an answer tells."""
    return str(response.json()["type"]).removeprefix("urn:funcledger:problem:")
