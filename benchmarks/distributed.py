"""The services of the compose file on the real broker, one of each, with one endpoint; and Kafka alone."""

import asyncio
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from urllib.parse import urlsplit

from benchmarks import measures
from benchmarks.events import day
from benchmarks.server import WORKERS
from funcledger import Client
from funcledger_compose.native.stack import COMPOSE_FILE, Stack
from funcledger_event_log.kafka import KafkaLog, KafkaSettings
from funcledger_event_log.records import NewRecord
from funcledger_schemas import envelope
from funcledger_web.tokens import USER_PREFIX, digest, new_token

ONE_OF_EACH = Path(__file__).with_name("one_of_each.yaml")
#: Records of one append, and appends under way at the same time, where Kafka is measured alone.
BATCH, AT_ONCE = 500, 8


@contextmanager
def stack() -> Iterator[Stack]:
    """A running deployment; ``Client()`` and ``Executor()`` of this process find it and its endpoint."""
    with tempfile.TemporaryDirectory(prefix="funcledger-bench-") as folder:
        token = new_token(USER_PREFIX)
        told = os.environ | {"FUNCLEDGER_TOKENS": f"bench={digest(token)}", "FUNCLEDGER_PARTITIONS": "16"}
        made = Stack(Path(folder) / "stack", told, files=(COMPOSE_FILE, ONE_OF_EACH))
        made.start()
        try:
            os.environ.update(FUNCLEDGER_URL=made.url, FUNCLEDGER_TOKEN=token, FUNCLEDGER_DATA_DIR=folder)
            with _agent(Path(folder)):
                yield made
        finally:
            made.stop()


@contextmanager
def _agent(folder: Path) -> Iterator[None]:
    command = [sys.executable, "-m", "funcledger_compose", "endpoint"]
    configure = [*command, "configure", measures.ENDPOINT, "--workers", str(WORKERS)]
    subprocess.run(configure, check=True, stdout=subprocess.DEVNULL)
    with (folder / "agent.log").open("wb") as log:
        process = subprocess.Popen([*command, "run", measures.ENDPOINT], stdout=log, stderr=log)
        try:
            _until_online()
            yield
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(60)


def _until_online() -> None:
    deadline = time.monotonic() + 60
    with Client() as client:
        while client.get_endpoint_status(measures.ENDPOINT)["status"] != "online":
            if time.monotonic() > deadline:
                raise SystemExit("the endpoint did not come online")
            time.sleep(0.1)


def appended(made: Stack, events: int = 100_000) -> float:
    """Events per second appended to Kafka and acknowledged, their Avro encoding included."""
    where = urlsplit(f"//{made.addresses('kafka')[0]}")
    return asyncio.run(_appended(KafkaSettings(f"{where.hostname}:{where.port}", prefix="bench."), events))


async def _appended(settings: KafkaSettings, events: int) -> float:
    log = KafkaLog(settings)
    try:
        for topic in envelope.TOPICS:
            await log.create_topic(topic, 16 if topic in envelope.BY_ENDPOINT else 1)
        begun = time.perf_counter()
        await _append_all(log, events)
        return events / (time.perf_counter() - begun)
    finally:
        await log.close()


async def _append_all(log: KafkaLog, events: int) -> None:
    room = asyncio.Semaphore(AT_ONCE)

    async def append(records: list[NewRecord]) -> None:
        try:
            await log.append(records)
        finally:
            room.release()

    async with asyncio.TaskGroup() as group:
        for records in _batched(day(events // 3)):
            await room.acquire()
            group.create_task(append(records))


def _batched(records: Iterator[NewRecord]) -> Iterator[list[NewRecord]]:
    while batch := list(islice(records, BATCH)):
        yield batch
