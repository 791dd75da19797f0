"""An endpoint under test: an agent with real workers over a log in memory, and what the log says of it."""

import asyncio
import hashlib
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

from tests.support.deadlines import scaled

from funcledger_endpoint.agent import Agent
from funcledger_endpoint.local.directories import Keep
from funcledger_endpoint.local.engine import LocalEngine
from funcledger_endpoint.local.limits import Limits
from funcledger_endpoint.settings import AgentSettings
from funcledger_event_log.direct import DirectEndpointLog
from funcledger_event_log.endpoint_port import EndpointLog, Identity
from funcledger_event_log.memory import MemoryLog
from funcledger_event_log.port import EventLog
from funcledger_event_log.records import NewRecord
from funcledger_payloads import dump_arguments, dump_function, load
from funcledger_schemas.envelope import BY_ENDPOINT, TOPICS, topic_of
from funcledger_schemas.events import (
    Event,
    FunctionRegistered,
    TaskCancelRequested,
    TaskCompleted,
    TaskFailed,
    TaskSubmitted,
)
from funcledger_schemas.failures import opened
from funcledger_schemas.ids import new_id
from funcledger_schemas.lifecycle import OUTCOMES

PARTITION = 1
WEEK = 604_800


def _stamp() -> dict[str, Any]:
    return {"event_id": new_id(), "occurred_at": time.time_ns() // 1000, "actor": "user:ada"}


class Endpoint:
    """Submits, cancels and reads back, straight through the log, as the services would."""

    def __init__(
        self, log: EventLog, endpoint_id: str | None = None, view: EndpointLog | None = None
    ) -> None:
        """``view`` is how the agent sees the log, when not straight."""
        self.log = log
        self._view = view
        self.endpoint_id = endpoint_id or new_id()
        self.batch_id = new_id()
        self._functions: dict[Callable[..., Any], tuple[str, str]] = {}

    @classmethod
    async def create(cls, log: EventLog | None = None) -> "Endpoint":
        """An endpoint over a log with its topics."""
        log = log or MemoryLog()
        for topic in TOPICS:
            await log.create_topic(topic, 2 if topic in BY_ENDPOINT else 1)
        return cls(log)

    def view(self) -> EndpointLog:
        """The log as an agent of this endpoint sees it."""
        return self._view or DirectEndpointLog(self.log, Identity(self.endpoint_id, "lab", "ada", PARTITION))

    async def append(self, *events: Event) -> list[int]:
        """Append events to the endpoint's partitions; returns their offsets."""
        records = [
            NewRecord.of(event, PARTITION if topic_of(type(event)) in BY_ENDPOINT else 0) for event in events
        ]
        return [position.offset for position in await self.log.append(records)]

    async def register(self, function: Callable[..., Any]) -> tuple[str, str]:
        """Function id and content hash of the function, on the log."""
        if function not in self._functions:
            made = dump_function(function)
            function_id = new_id()
            await self.append(
                FunctionRegistered(
                    **_stamp(),
                    function_id=function_id,
                    owner="ada",
                    name=made.name,
                    description=None,
                    metadata=None,
                    public=False,
                    group=None,
                    python_version=made.python,
                    dill_version=made.dill,
                    payload_format="function/2",
                    payload_sha256=made.sha256,
                    payload_size=len(made.bytes),
                    payload=made.bytes,
                    payload_code=made.code,
                )
            )
            self._functions[function] = (function_id, made.sha256)
        return self._functions[function]

    async def submission(self, function: Callable[..., Any], *args: Any, **fields: Any) -> TaskSubmitted:
        """A submission of a call; ``fields`` override those of the event."""
        function_id, function_hash = await self.register(function)
        payload_format, payload = dump_arguments(args, {})
        defaults: dict[str, Any] = {
            **_stamp(),
            "endpoint_id": self.endpoint_id,
            "owner": "ada",
            "task_id": new_id(),
            "batch_id": self.batch_id,
            "batch_size": None,
            "batch_index": None,
            "function_id": function_id,
            "function_hash": function_hash,
            "request_digest": "0" * 64,
            "walltime": None,
            "max_attempts": 3,
            "expires_in": WEEK,
            "resource_specification": None,
            "endpoint_config": None,
            "payload_format": payload_format,
            "payload_sha256": hashlib.sha256(payload).hexdigest(),
            "payload_size": len(payload),
            "payload": payload,
        }
        return TaskSubmitted(**(defaults | fields))

    async def submit(self, function: Callable[..., Any], *args: Any, **fields: Any) -> str:
        """Submit one call; returns the task's id."""
        event = await self.submission(function, *args, **fields)
        await self.append(event)
        return event.task_id

    async def submit_many(
        self, function: Callable[..., Any], arguments: Sequence[Any], **fields: Any
    ) -> list[str]:
        """Submit one call for each argument, in one append."""
        events = [await self.submission(function, argument, **fields) for argument in arguments]
        await self.append(*events)
        return [event.task_id for event in events]

    async def cancel(self, task_id: str, owner: str = "ada") -> None:
        """Ask for the task to be cancelled."""
        await self.append(
            TaskCancelRequested(
                **_stamp(),
                endpoint_id=self.endpoint_id,
                owner=owner,
                task_id=task_id,
                batch_id=self.batch_id,
            )
        )

    async def results(self) -> list[Event]:
        """Every event in the endpoint's partition of results."""
        end = (await self.log.ends("results"))[PARTITION]
        return [record.event() async for batch in self.view().read_results(0, end) for record in batch]

    async def story(self, task_id: str) -> list[str]:
        """The names of what the results say of a task, in order."""
        return [
            type(event).__name__ for event in await self.results() if getattr(event, "task_id", "") == task_id
        ]

    async def outcome(self, task_id: str, timeout: float = 10.0) -> Any:
        """The task's first outcome, as soon as there is one."""
        return (await self.outcomes([task_id], timeout))[task_id]

    async def outcomes(self, task_ids: Sequence[str], timeout: float = 10.0) -> dict[str, Any]:
        """The first outcomes of these tasks, once all of them have one; failures with their texts at hand."""
        found: dict[str, Any] = {}
        wanted = set(task_ids)
        async with asyncio.timeout(scaled(timeout)):
            async for batch in self.log.follow({_results(): 0}):
                for record in batch:
                    event = record.event()
                    if type(event).__name__ in OUTCOMES and event.task_id in wanted:  # type: ignore[attr-defined]
                        said = opened(event) if isinstance(event, TaskFailed) else event
                        found.setdefault(event.task_id, said)  # type: ignore[attr-defined]
                if len(found) == len(wanted):
                    break
        return found

    async def value(self, task_id: str, timeout: float = 10.0) -> Any:
        """What the task returned."""
        event = await self.outcome(task_id, timeout)
        assert isinstance(event, TaskCompleted), event
        return load(event.payload_format, event.payload)

    @asynccontextmanager
    async def agent(
        self,
        workers: int = 2,
        settings: AgentSettings | None = None,
        *,
        patience: float = 0.3,
        limits: Limits | None = None,
        directories: Path | None = None,
        keep: Keep = "never",
    ) -> AsyncGenerator["Running"]:
        """An agent that serves this endpoint; it is stopped in good order at the end, if it still runs."""
        engine = LocalEngine(workers, patience=patience, limits=limits, directories=directories, keep=keep)
        agent = Agent(self.view(), engine, settings or AgentSettings(drain=5.0))
        running = Running(agent, engine, asyncio.create_task(agent.run()))
        try:
            yield running
        finally:
            agent.stop()
            if not running.crashed:
                await running.run


class Running:
    """An agent that runs, its engine, and the task it runs in."""

    def __init__(self, agent: Agent, engine: LocalEngine, run: "asyncio.Task[None]") -> None:
        self.agent, self.engine, self.run = agent, engine, run
        self.crashed = False

    async def crash(self) -> None:
        """End the agent as if it had been killed: it appends nothing more."""
        self.crashed = True
        self.run.cancel()
        with suppress(asyncio.CancelledError):
            await self.run


def _results() -> Any:
    from funcledger_event_log.records import TopicPartition

    return TopicPartition("results", PARTITION)
