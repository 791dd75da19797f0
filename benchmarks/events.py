"""A log as a busy day leaves it: tasks of several endpoints, submitted, begun and completed."""

import time
from collections import deque
from collections.abc import Iterator
from typing import Any

from funcledger_event_log.port import EventLog
from funcledger_event_log.records import NewRecord
from funcledger_schemas import envelope
from funcledger_schemas.events import EndpointStarted, TaskCompleted, TaskStarted, TaskSubmitted
from funcledger_schemas.ids import new_id

PARTITIONS = 16
ENDPOINTS = 4
#: Tasks of an endpoint between their submission and their outcome.
IN_FLIGHT = 2_000
#: Tasks of a batch, and records of an append.
BATCH = 500
_PAYLOAD: dict[str, Any] = {
    "payload_format": "pickle",
    "payload_sha256": "0" * 64,
    "payload_size": 100,
    "payload": b"x" * 100,
}


async def filled(log: EventLog, events: int) -> None:
    """Append about so many events, a third each submissions, starts and outcomes."""
    for topic in envelope.TOPICS:
        await log.create_topic(topic, PARTITIONS if topic in envelope.BY_ENDPOINT else 1)
    gathered: list[NewRecord] = []
    for record in day(events // 3):
        gathered.append(record)
        if len(gathered) == BATCH:
            await log.append(gathered)
            gathered.clear()
    await log.append(gathered)


def day(tasks: int) -> Iterator[NewRecord]:
    """The records of so many tasks, three each, as they come."""
    endpoints = [(new_id(), partition) for partition in range(ENDPOINTS)]
    for endpoint_id, partition in endpoints:
        yield NewRecord.of(_started(endpoint_id), partition)
    waiting: dict[str, deque[dict[str, Any]]] = {endpoint_id: deque() for endpoint_id, _ in endpoints}
    batch_id = ""
    for number in range(tasks):
        if number % BATCH == 0:
            batch_id = new_id()
        endpoint_id, partition = endpoints[number % ENDPOINTS]
        about = {"endpoint_id": endpoint_id, "owner": "local", "task_id": new_id(), "batch_id": batch_id}
        yield NewRecord.of(_submitted(about, number % BATCH), partition)
        waiting[endpoint_id].append(about)
        if len(waiting[endpoint_id]) > IN_FLIGHT:
            yield from _results(waiting[endpoint_id].popleft(), partition)
    for endpoint_id, partition in endpoints:
        for about in waiting[endpoint_id]:
            yield from _results(about, partition)


def _base(actor: str) -> dict[str, Any]:
    return {"event_id": new_id(), "occurred_at": time.time_ns() // 1000, "actor": actor}


def _started(endpoint_id: str) -> EndpointStarted:
    return EndpointStarted(
        **_base(f"endpoint:{endpoint_id}"),
        endpoint_id=endpoint_id,
        instance_id=new_id(),
        supersedes=-1,
        host="host",
        platform="Linux",
        python_version="3.12.4",
        agent_version="0.1.0",
        engine="local",
        workers=2,
        distributions_sha256="0" * 64,
    )


def _submitted(about: dict[str, Any], index: int) -> TaskSubmitted:
    return TaskSubmitted(
        **_base("user:local"),
        **about,
        batch_size=BATCH,
        batch_index=index,
        function_id="01990000-0000-7000-8000-00000000f001",
        function_hash="0" * 64,
        request_digest="0" * 64,
        walltime=None,
        max_attempts=3,
        expires_in=604_800,
        resource_specification=None,
        endpoint_config=None,
        **_PAYLOAD,
    )


def _results(about: dict[str, Any], partition: int) -> Iterator[NewRecord]:
    base = {**_base(f"endpoint:{about['endpoint_id']}"), **about, "epoch": 0, "attempt": 1}
    yield NewRecord.of(TaskStarted(**base, worker="worker-1"), partition)
    measured: dict[str, Any] = {"run_time": 0.001, "cpu_time": 0.001, "peak_memory": 31_457_280}
    completed = TaskCompleted(**{**base, "event_id": new_id()}, **measured, **_PAYLOAD)
    yield NewRecord.of(completed, partition)


def one_task() -> list[NewRecord]:
    """The records of one task, with 100 bytes of arguments and of result."""
    about = {"endpoint_id": new_id(), "owner": "local", "task_id": new_id(), "batch_id": new_id()}
    return [NewRecord.of(_submitted(about, 0), 0), *_results(about, 0)]
