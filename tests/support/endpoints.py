"""Endpoints as tests need them: registered on a log, with a gateway before it and events ready to be said."""

import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from fastapi import FastAPI
from tests.support.apps import TOKENS, always_ready

from funcledger_event_log.endpoint_port import Identity
from funcledger_event_log.fence import Fence
from funcledger_event_log.follower import Tail
from funcledger_event_log.memory import MemoryLog
from funcledger_event_log.port import EventLog
from funcledger_event_log.records import NewRecord
from funcledger_gateway.door import Door
from funcledger_gateway.fencing import EpochTail
from funcledger_gateway.routes import routers
from funcledger_schemas import envelope, events
from funcledger_schemas.ids import new_id
from funcledger_web.app import application
from funcledger_web.auth import AnyOf
from funcledger_web.catalogue import TOPICS, Catalogue
from funcledger_web.credentials import EndpointCredentials
from funcledger_web.tokens import ENDPOINT_PREFIX, digest, new_token

PARTITIONS = 2


#: Where each task was submitted that :func:`say` has appended; ids are never used twice.
_SUBMITTED: dict[str, int] = {}


def digest_of(payload: bytes) -> str:
    return hashlib.sha256(payload).hexdigest()


@dataclass
class TestEndpoint:
    """One endpoint, and what its users and agents say about it."""

    __test__ = False
    partition: int = 1
    endpoint_id: str = field(default_factory=new_id)
    credential: str = field(default_factory=lambda: new_token(ENDPOINT_PREFIX))
    owner: str = "ada"

    @property
    def identity(self) -> Identity:
        return Identity(self.endpoint_id, f"name of {self.endpoint_id}", self.owner, self.partition)

    @property
    def _said(self) -> dict[str, Any]:
        actor = f"endpoint:{self.endpoint_id}"
        return {"event_id": new_id(), "occurred_at": 1, "actor": actor, "endpoint_id": self.endpoint_id}

    @property
    def _asked(self) -> dict[str, Any]:
        return {**self._said, "actor": f"user:{self.owner}"}

    def registered(self) -> events.EndpointRegistered:
        return events.EndpointRegistered(
            **self._asked, owner=self.owner, name=self.identity.name, description=None, metadata=None,
            public=False, partition=self.partition, credential_sha256=digest(self.credential),
        )  # fmt: skip

    def submitted(self, payload: bytes = b"args", **changes: Any) -> events.TaskSubmitted:
        return events.TaskSubmitted(
            **{
                **self._asked, "owner": self.owner, "task_id": new_id(), "batch_id": new_id(),
                "batch_size": None, "batch_index": None, "function_id": new_id(), "function_hash": "0" * 64,
                "request_digest": "0" * 64, "walltime": None, "max_attempts": 3, "expires_in": 604800,
                "resource_specification": None, "endpoint_config": None, "payload_format": "pickle",
                "payload_sha256": digest_of(payload), "payload_size": len(payload), "payload": payload,
                **changes,
            }
        )  # fmt: skip

    def started(self, supersedes: int = -1, **changes: Any) -> events.EndpointStarted:
        return events.EndpointStarted(
            **{
                **self._said, "instance_id": new_id(), "supersedes": supersedes, "host": "lab",
                "platform": "Linux x86_64", "python_version": "3.11.7", "agent_version": "0.1.0",
                "engine": "local", "workers": 2, "distributions_sha256": "0" * 64, **changes,
            }
        )  # fmt: skip

    def heartbeat(self, epoch: int | None) -> events.EndpointHeartbeat:
        return events.EndpointHeartbeat(
            **self._said, instance_id=new_id(), epoch=epoch, workers=2, busy=0, queued=0, cores=2,
            memory_total=1, memory_available=1, load=0.0,
        )  # fmt: skip

    def _of(self, task: events.TaskSubmitted) -> dict[str, Any]:
        about = {"owner": task.owner, "task_id": task.task_id, "batch_id": task.batch_id}
        return {**self._said, **about}

    def cancel_of(self, task: events.TaskSubmitted) -> events.TaskCancelRequested:
        return events.TaskCancelRequested(**{**self._of(task), "actor": f"user:{task.owner}"})

    def begun(self, task: events.TaskSubmitted, epoch: int | None) -> events.TaskStarted:
        submission = _SUBMITTED.get(task.task_id)
        return events.TaskStarted(**self._of(task), epoch=epoch, attempt=1, worker="0", submission=submission)

    def completed(
        self, task: events.TaskSubmitted, epoch: int | None, payload: bytes = b"value"
    ) -> events.TaskCompleted:
        return events.TaskCompleted(
            **self._of(task), epoch=epoch, attempt=1, run_time=0.1, cpu_time=0.1, peak_memory=1,
            payload_format="pickle", payload_sha256=digest_of(payload), payload_size=len(payload),
            payload=payload, submission=_SUBMITTED.get(task.task_id),
        )  # fmt: skip


def function_registered(payload: bytes) -> events.FunctionRegistered:
    return events.FunctionRegistered(
        event_id=new_id(), occurred_at=1, actor="user:ada", function_id=new_id(), owner="ada", name="f",
        description=None, metadata=None, public=False, group=None, python_version="3.11.7",
        dill_version="0.3.8", payload_format="function/1", payload_sha256=digest_of(payload),
        payload_size=len(payload), payload=payload,
    )  # fmt: skip


async def memory_log() -> MemoryLog:
    """An empty log with every topic."""
    log = MemoryLog()
    await make_topics(log)
    return log


async def make_topics(log: EventLog) -> None:
    """Every topic, on an empty log."""
    for topic in envelope.TOPICS:
        await log.create_topic(topic, PARTITIONS if topic in envelope.BY_ENDPOINT else 1)


async def say(log: EventLog, *said: events.Event, partition: int = 0) -> list[int]:
    """Append events as the services would; their offsets."""
    positions = await log.append([NewRecord.of(event, partition) for event in said])
    for event, position in zip(said, positions, strict=True):
        if isinstance(event, events.TaskSubmitted):
            _SUBMITTED.setdefault(event.task_id, position.offset)
    return [position.offset for position in positions]


@dataclass
class GatewayParts:
    """A gateway over a log: its app, the door behind it, and what keeps its catalogue up to date."""

    app: FastAPI
    door: Door
    catalogue_tail: Tail


@asynccontextmanager
async def gateway_over(log: EventLog, *, keep_alive: float = 5.0) -> AsyncIterator[GatewayParts]:
    """The gateway's app over a log; endpoints are known by their credentials, users by ``apps.TOKENS``."""
    catalogue = Catalogue()
    tail = Tail(log, TOPICS, catalogue.apply, name="catalogue")
    epochs = EpochTail(log, Fence(), {})
    await tail.start()
    await epochs.start()
    door = Door(log, epochs, catalogue, tail, keep_alive=keep_alive)
    known = AnyOf(EndpointCredentials(catalogue, lambda: tail.catch_up(2.0)), TOKENS)
    app = application("gateway", routers(door), authenticator=known, allowed_hosts=["*"], ready=always_ready)
    try:
        yield GatewayParts(app, door, tail)
    finally:
        await tail.stop()
        await epochs.stop()
