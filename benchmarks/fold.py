"""How fast the log folds into a store: ``python -m benchmarks.fold [events]`` prints events per second.

``--store mongo`` asks MongoDB at ``FUNCLEDGER_BENCH_MONGO``, or else the stand-in for it on this machine.

A third each are submissions, starts and outcomes, of several endpoints, interleaved as they come on a
busy day. What is timed is a projector from its start, over an empty store, until nothing is left.
"""

import argparse
import asyncio
import os
import resource
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

from funcledger_compose.native.mongo import mongo as native_mongo
from funcledger_compose.native.mongo import quicken
from funcledger_event_log.memory import MemoryLog
from funcledger_event_log.records import NewRecord
from funcledger_projectors.runner import Projector
from funcledger_read_models.mongo import MongoStore
from funcledger_read_models.port import ReadModelStore
from funcledger_read_models.sqlite import SqliteStore
from funcledger_schemas import envelope
from funcledger_schemas.events import EndpointStarted, TaskCompleted, TaskStarted, TaskSubmitted
from funcledger_schemas.ids import new_id

PARTITIONS = 16
ENDPOINTS = 4
#: Tasks of an endpoint between their submission and their outcome.
IN_FLIGHT = 2_000
_PAYLOAD: dict[str, Any] = {
    "payload_format": "pickle",
    "payload_sha256": "0" * 64,
    "payload_size": 100,
    "payload": b"x" * 100,
}


async def main(events: int, kind: str) -> None:
    """Fold so many events into a store of this kind and say how long it took."""
    log = MemoryLog()
    for topic in envelope.TOPICS:
        await log.create_topic(topic, PARTITIONS if topic in envelope.BY_ENDPOINT else 1)
    await _fill(log, events)
    with tempfile.TemporaryDirectory() as folder:
        store, end = await _store(kind, Path(folder))
        projector = Projector(log, store)
        stalls = asyncio.create_task(_longest_stall())
        total, begun, cpu = await projector.lag(), time.perf_counter(), time.process_time()
        await projector.start()
        while await projector.lag():  # noqa: ASYNC110 - the log has no signal for it
            await asyncio.sleep(0.02)
        took, worked = time.perf_counter() - begun, time.process_time() - cpu
        stalls.cancel()
        await projector.stop()
        await end()
        size = await asyncio.to_thread(_size, Path(folder))
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{total} events in {took:.1f} s: {total / took:,.0f} events/s, {took / total * 1e6:.1f} µs each")
    print(f"CPU {worked:.1f} s, store {size / 1e6:.0f} MB, peak memory with the log {memory:.0f} MB")


async def _store(kind: str, folder: Path) -> tuple[ReadModelStore, Callable[[], Awaitable[None]]]:
    if kind == "sqlite":
        sqlite = await SqliteStore.open(folder / "read_models.db")
        return sqlite, sqlite.close
    address = os.environ.get("FUNCLEDGER_BENCH_MONGO")
    server = None if address else native_mongo(folder)
    if server is not None:
        server.start()
        address = f"mongodb://{server.address}/"
    store = await MongoStore.open(str(address), f"bench_{new_id()}")

    async def end() -> None:
        if server is None:
            await store.database.drop()
        await store.close()
        if server is not None:
            server.stop()

    if server is not None:
        quicken(folder)
    return store, end


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


async def _longest_stall() -> None:
    longest = 0.0
    try:
        while True:
            begun = time.perf_counter()
            await asyncio.sleep(0.001)
            longest = max(longest, time.perf_counter() - begun)
    finally:
        print(f"the event loop was kept waiting for at most {longest * 1000:.0f} ms")


async def _fill(log: MemoryLog, events: int) -> None:
    endpoints = [(new_id(), partition) for partition in range(ENDPOINTS)]
    for endpoint_id, partition in endpoints:
        await log.append([NewRecord.of(_started(endpoint_id), partition)])
    tasks = events // 3
    waiting: dict[str, list[dict[str, Any]]] = {endpoint_id: [] for endpoint_id, _ in endpoints}
    batch_id = ""
    for number in range(tasks):
        if number % 500 == 0:
            batch_id = new_id()
        endpoint_id, partition = endpoints[number % ENDPOINTS]
        about = {"endpoint_id": endpoint_id, "owner": "local", "task_id": new_id(), "batch_id": batch_id}
        await log.append([NewRecord.of(_submitted(about, number % 500), partition)])
        waiting[endpoint_id].append(about)
        if len(waiting[endpoint_id]) > IN_FLIGHT:
            await log.append(
                [NewRecord.of(each, partition) for each in _results(waiting[endpoint_id].pop(0))]
            )
    for endpoint_id, partition in endpoints:
        for about in waiting[endpoint_id]:
            await log.append([NewRecord.of(each, partition) for each in _results(about)])


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
        batch_size=500,
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


def _results(about: dict[str, Any]) -> Iterator[TaskStarted | TaskCompleted]:
    base = {**_base(f"endpoint:{about['endpoint_id']}"), **about, "epoch": 0, "attempt": 1}
    yield TaskStarted(**base, worker="worker-1")
    measured: dict[str, Any] = {"run_time": 0.001, "cpu_time": 0.001, "peak_memory": 31_457_280}
    yield TaskCompleted(**{**base, "event_id": new_id()}, **measured, **_PAYLOAD)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("events", type=int, nargs="?", default=300_000)
    parser.add_argument("--store", choices=("sqlite", "mongo"), default="sqlite")
    asked = parser.parse_args()
    asyncio.run(main(asked.events, asked.store))
