"""Holds the read models of running services against the log, and tells what stands there."""

import asyncio
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field

from tests.support.folding import fold_into
from tests.support.poll import until
from tests.support.stores import dump

from funcledger_compose.native.stack import Stack
from funcledger_event_log.kafka import KafkaLog, KafkaSettings
from funcledger_event_log.port import EventLog
from funcledger_event_log.records import Record, TopicPartition
from funcledger_projectors.runner import TOPICS
from funcledger_read_models.memory import MemoryStore
from funcledger_read_models.mongo import MongoStore
from funcledger_schemas.lifecycle import OUTCOMES


def audited(stack: Stack, timeout: float = 60) -> Counter[str]:
    """How many outcomes each task has on the log, once the read models are found to be its fold.

    An event that was appended again, since nobody knew whether it was there, is the same outcome (FAULTS 6).
    For a deployment at rest: no agent runs, or there would always be a heartbeat more.
    """
    return asyncio.run(_audited(stack, timeout))


def caught_up(stack: Stack, partition: int, timeout: float = 30) -> None:
    """Return once the read models hold all that the log has by now of a partition's tasks and results."""
    asyncio.run(_caught_up(stack, partition, timeout))


@dataclass
class Told:
    """What the log tells of one endpoint: where it is, and its tasks as submitted and as first started."""

    partitions: set[int] = field(default_factory=set)
    submitted: dict[str, None] = field(default_factory=dict)
    started: dict[str, None] = field(default_factory=dict)


def told(stack: Stack) -> dict[str, Told]:
    """What the log tells of each endpoint."""
    return asyncio.run(_told(stack))


@asynccontextmanager
async def _opened(stack: Stack) -> AsyncIterator[tuple[KafkaLog, MongoStore]]:
    log = KafkaLog(KafkaSettings(stack.addresses("kafka")[0]))
    store = await MongoStore.open(f"mongodb://{stack.addresses('mongo')[0]}/")
    try:
        yield log, store
    finally:
        await store.close()
        await log.close()


async def _audited(stack: Stack, timeout: float) -> Counter[str]:
    async with _opened(stack) as (log, store):
        records = await _whole(log)
        ends = {
            (topic, part): end for topic in TOPICS for part, end in (await log.ends(topic)).items() if end
        }
        await _passed(store, ends, timeout)
        fresh = MemoryStore()
        await fold_into(fresh, records.values())
        assert await dump(store) == await dump(fresh)
        outcomes = [record for batch in records.values() for record in batch if record.type in OUTCOMES]
        events = {(_header(each, "ce_subject"), _header(each, "ce_id"), each.value) for each in outcomes}
        return Counter(task for task, *_ in events)


async def _caught_up(stack: Stack, partition: int, timeout: float) -> None:
    async with _opened(stack) as (log, store):
        ends = {(topic, partition): (await log.ends(topic))[partition] for topic in ("tasks", "results")}
        await _passed(store, ends, timeout)


async def _passed(store: MongoStore, ends: Mapping[tuple[str, int], int], timeout: float) -> None:
    async def passed() -> bool:
        positions = await store.positions()
        return all(positions.get(where, 0) >= end for where, end in ends.items())

    await until(passed, timeout)


async def _told(stack: Stack) -> dict[str, Told]:
    found: dict[str, Told] = defaultdict(Told)
    async with _opened(stack) as (log, _):
        for where, records in (await _whole(log)).items():
            for record in records if where.topic in ("tasks", "results") else ():
                endpoint, task = found[record.key.decode()], _header(record, "ce_subject")
                endpoint.partitions.add(where.partition)
                if record.type == "TaskSubmitted":
                    endpoint.submitted[task] = None
                elif record.type == "TaskStarted":
                    endpoint.started.setdefault(task)
    return found


def _header(record: Record, name: str) -> str:
    return dict(record.headers)[name].decode()


async def _whole(log: EventLog) -> dict[TopicPartition, list[Record]]:
    """Every record of every partition."""
    found: dict[TopicPartition, list[Record]] = defaultdict(list)
    for topic in TOPICS:
        starts, ends = await log.starts(topic), await log.ends(topic)
        left = {number for number, end in ends.items() if end > starts[number]}
        if not left:
            continue
        async with aclosing(
            log.follow({TopicPartition(topic, each): starts[each] for each in left})
        ) as batches:
            async for batch in batches:
                for record in batch:
                    found[TopicPartition(topic, record.partition)].append(record)
                    if record.offset + 1 >= ends[record.partition]:
                        left.discard(record.partition)
                if not left:
                    break
    return found
