"""Folding records into a store without a runner, one batch after another."""

import asyncio
from collections.abc import Iterable

from tests.support.stores import Dump, dump

from funcledger_event_log.records import Record
from funcledger_projectors.applier import Applier
from funcledger_read_models.memory import MemoryStore
from funcledger_read_models.port import ReadModelStore


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
