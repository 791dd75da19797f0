"""Folding records into a store, with and without a runner."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import Any

from tests.support.poll import until
from tests.support.stores import Dump, dump

from funcledger_event_log.memory import MemoryLog
from funcledger_event_log.port import EventLog
from funcledger_event_log.records import NewRecord, Record, TopicPartition
from funcledger_projectors.applier import Applier
from funcledger_projectors.runner import TOPICS as PROJECTED
from funcledger_projectors.runner import Projector
from funcledger_read_models.memory import MemoryStore
from funcledger_read_models.port import ReadModelStore
from funcledger_schemas.envelope import BY_ENDPOINT, TOPICS


async def fold_into(store: ReadModelStore, batches: Iterable[list[Record]]) -> None:
    """Apply these batches from where the store stands."""
    applier = Applier(store, None)
    await applier.reload()
    for batch in batches:
        await applier.apply(await applier.prepare(batch))


def folded(batches: Iterable[list[Record]]) -> Dump:
    """Everything a fresh store holds after these batches."""

    async def fold() -> Dump:
        store = MemoryStore()
        await fold_into(store, batches)
        return await dump(store)

    return asyncio.run(fold())


async def log_with(records: Iterable[Record] = (), log: MemoryLog | None = None) -> MemoryLog:
    """A log in memory, of two partitions, that holds these records."""
    log = log or MemoryLog()
    for topic in TOPICS:
        await log.create_topic(topic, 2 if topic in BY_ENDPOINT else 1)
    await append(log, records)
    return log


async def append(log: EventLog, records: Iterable[Record]) -> None:
    """Append the same bytes as new records."""
    for each in records:
        await log.append([NewRecord(each.topic, each.partition, each.key, each.headers, each.value)])


async def replayed(log: MemoryLog, topics: Sequence[str] = PROJECTED) -> Dump:
    """What a fold of the whole log from its start gives, one partition after another, without a runner."""
    store = MemoryStore()
    partitions = [(topic, partition) for topic in topics for partition in await log.ends(topic)]
    for where in partitions:
        await fold_into(store, [log.take(TopicPartition(*where), 0, 1_000_000, 1 << 40)])
    return await dump(store)


@asynccontextmanager
async def projecting(log: EventLog, store: ReadModelStore, **options: Any) -> AsyncIterator[Projector]:
    """A projector that runs meanwhile."""
    projector = Projector(log, store, **options)
    await projector.start()
    try:
        yield projector
    finally:
        await projector.stop()


async def caught_up(projector: Projector, timeout: float = 10) -> None:
    """Wait until nothing of the log is left to apply."""

    async def no_lag() -> bool:
        assert projector.failed is None
        return await projector.lag() == 0

    await until(no_lag, timeout)
