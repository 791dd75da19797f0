"""Logs to test against, by name, and short ways to write to them and read them out."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager
from pathlib import Path

import pytest
from tests.support import parts
from tests.support.deadlines import scaled

from funcledger_event_log.kafka import KafkaLog, KafkaSettings
from funcledger_event_log.memory import MemoryLog
from funcledger_event_log.port import EventLog
from funcledger_event_log.records import NewRecord, Record, TopicPartition
from funcledger_event_log.sqlite import SqliteLog, SqliteView
from funcledger_event_log.sqlite.partitions import Partition
from funcledger_schemas.ids import new_id

#: Opens an empty log; the directory is there for what it wants to keep.
Opener = Callable[[Path], AbstractAsyncContextManager[EventLog]]


@asynccontextmanager
async def memory(_directory: Path) -> AsyncIterator[EventLog]:
    """The log in memory."""
    log = MemoryLog()
    try:
        yield log
    finally:
        await log.close()


@asynccontextmanager
async def sqlite(directory: Path) -> AsyncIterator[SqliteLog]:
    """The embedded log."""
    log = await SqliteLog.open(directory / "log")
    try:
        yield log
    finally:
        await log.close()


class Beside(SqliteView):
    """The embedded log seen from beside its server, which does for it here what it may not do itself."""

    log: SqliteLog

    async def create_topic(self, topic: str, partitions: int) -> None:
        await self.log.create_topic(topic, partitions)
        self._partitions.update(
            {where: Partition(where, each.id, each.end) for where, each in self.log._partitions.items()}
        )

    async def commit(self, consumer: str, where: TopicPartition, offset: int, metadata: str = "") -> None:
        await self.log.commit(consumer, where, offset, metadata)


@asynccontextmanager
async def beside(directory: Path) -> AsyncIterator[Beside]:
    """The embedded log as a process beside its server sees it."""
    async with sqlite(directory) as log:
        view = await Beside.open(directory / "log", log.append)
        assert isinstance(view, Beside)
        view.log = log
        try:
            yield view
        finally:
            await view.close()


@asynccontextmanager
async def kafka(_directory: Path) -> AsyncIterator[EventLog]:
    """The log on the real broker, with a prefix of its own."""
    log = KafkaLog(KafkaSettings(parts.kafka().address, prefix=f"t{new_id()}."))
    try:
        yield log
    finally:
        await log.close()


#: Every adapter of the port, by the name that selects its tests (``pytest -k sqlite``).
ADAPTERS: dict[str, Opener] = {
    "memory": memory,
    "sqlite": sqlite,
    "beside": beside,
    "kafka": kafka,
}

#: The same as parameters of a fixture; what needs the broker can be left out (``-m 'not distributed'``).
LOGS = [pytest.param(name, marks=[pytest.mark.distributed] if name == "kafka" else []) for name in ADAPTERS]


def new(value: bytes, partition: int = 0, topic: str = "tasks", key: bytes = b"key") -> NewRecord:
    """A record to append."""
    return NewRecord(topic, partition, key, (("ce_id", b"1"),), value)


def at(partition: int = 0, topic: str = "tasks") -> TopicPartition:
    """A partition."""
    return TopicPartition(topic, partition)


async def collect(
    log: EventLog, start: Mapping[TopicPartition, int], count: int, timeout: float = 20.0
) -> list[Record]:
    """The first ``count`` records a follower gets, and no batch that is empty."""
    records: list[Record] = []
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(scaled(timeout)), aclosing(log.follow(start)) as batches:
            while len(records) < count:
                batch = await anext(batches)
                assert batch
                records += batch
    return records


def values(records: list[Record], partition: int | None = None) -> list[bytes]:
    """Their values, of one partition or of all."""
    return [record.value for record in records if partition in (None, record.partition)]
