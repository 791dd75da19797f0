"""How fast the log folds into a store: ``python -m benchmarks.fold [events] [--store sqlite|mongo|instant]``.

``--store mongo`` asks MongoDB at ``FUNCLEDGER_BENCH_MONGO``, or else the stand-in for it on this machine;
``instant`` is a database that answers at once (``benchmarks/instant.py``).

A third each are submissions, starts and outcomes, of several endpoints, interleaved as they come on a
busy day, on an embedded log. What is timed is a projector from its start, over an empty store, until
nothing is left: wall clock, and CPU, which tells more on a busy machine.
"""

import argparse
import asyncio
import os
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import psutil

from benchmarks.events import filled
from funcledger_compose.native.mongo import mongo as native_mongo
from funcledger_compose.native.mongo import quicken
from funcledger_compose.native.process import NativeProcess, free_port
from funcledger_compose.serving import configure
from funcledger_event_log.sqlite import SqliteLog
from funcledger_projectors.runner import Projector
from funcledger_read_models.mongo import MongoStore
from funcledger_read_models.port import ReadModelStore
from funcledger_read_models.sqlite import SqliteStore
from funcledger_schemas.ids import new_id

#: Seconds without any progress after which something must be wrong.
PATIENCE = 60


async def fold(events: int, kind: str) -> float:
    """Fold so many events into a store of this kind and say how long it took; the seconds."""
    configure("warning")  # as servers do
    with tempfile.TemporaryDirectory(prefix="funcledger-bench-") as name:
        folder = Path(name)
        print(f"writing {events:,} events to a log ...", flush=True)
        log = await SqliteLog.open(folder / "log")
        try:
            await filled(log, events)
            store, end = await _store(kind, folder)
            try:
                took = await _measure(log, store)
            finally:
                await end()
            size = await asyncio.to_thread(_size, folder, "read_models*")
            print(f"store of {size / 1e6:.0f} MB" if kind == "sqlite" else "")
            return took
        finally:
            await log.close()


async def _measure(log: SqliteLog, store: ReadModelStore) -> float:
    process = psutil.Process()
    projector = Projector(log, store)
    total, before = await projector.lag(), process.memory_info().rss
    stalls = asyncio.create_task(_longest_stall())
    begun, cpu = time.perf_counter(), time.process_time()
    await projector.start()
    peak = 0
    try:
        async for _ in _progress(projector):
            peak = max(peak, process.memory_info().rss)
        took, worked = time.perf_counter() - begun, time.process_time() - cpu
    finally:
        await projector.stop()
        stalls.cancel()
    print(f"{total:,} events in {took:.1f} s: {total / took:,.0f} events/s")
    print(f"CPU {worked:.1f} s: {worked / total * 1e6:.1f} µs an event")
    print(f"memory grew by {(peak - before) / 1e6:.0f} MB to {peak / 1e6:.0f} MB")
    print(f"the event loop was kept waiting for at most {await stalls * 1000:.0f} ms")
    return took


async def _progress(projector: Projector) -> AsyncIterator[int]:
    """What is left, until nothing is.

    Raises:
        SystemExit: the projector has stopped, or makes no progress.
    """
    last, since = -1, time.monotonic()
    while left := await projector.lag():
        if projector.failed is not None:
            raise SystemExit(f"the projector has stopped: {projector.failed!r}")
        if left != last:
            last, since = left, time.monotonic()
        if time.monotonic() - since > PATIENCE:
            raise SystemExit(f"{left:,} events are left and nothing has moved for {PATIENCE} s")
        yield left
        await asyncio.sleep(0.02)


async def _longest_stall() -> float:
    longest = 0.0
    try:
        while True:
            begun = time.perf_counter()
            await asyncio.sleep(0.005)
            longest = max(longest, time.perf_counter() - begun - 0.005)
    except asyncio.CancelledError:
        return longest


async def _store(kind: str, folder: Path) -> tuple[ReadModelStore, Callable[[], Awaitable[None]]]:
    if kind == "sqlite":
        sqlite = await SqliteStore.open(folder / "read_models.db")
        return sqlite, sqlite.close
    theirs = os.environ.get("FUNCLEDGER_BENCH_MONGO") if kind == "mongo" else None
    if theirs:
        other = await MongoStore.open(theirs, f"bench_{new_id()}")
        return other, lambda: _dropped(other)
    server = _server(kind, folder)
    server.start()
    store = await MongoStore.open(f"mongodb://{server.address}/", f"bench_{new_id()}")
    if kind == "mongo":
        quicken(folder)

    async def end() -> None:
        await store.close()
        server.stop()

    return store, end


async def _dropped(store: MongoStore) -> None:
    await store.database.drop()
    await store.close()


def _server(kind: str, folder: Path) -> NativeProcess:
    if kind == "mongo":
        return native_mongo(folder)
    command = [sys.executable, "-m", "benchmarks.instant", str(port := free_port())]
    return NativeProcess(command, port, folder / "instant.log")


def _size(folder: Path, pattern: str) -> int:
    return sum(path.stat().st_size for path in folder.glob(pattern))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("events", type=int, nargs="?", default=300_000)
    parser.add_argument("--store", choices=("sqlite", "mongo", "instant"), default="sqlite")
    asked = parser.parse_args()
    asyncio.run(fold(asked.events, asked.store))
