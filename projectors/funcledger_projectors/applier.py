"""Folds batches of records into a store, each exactly once in effect."""

import asyncio
from collections.abc import Callable, Sequence
from typing import TypeVar

from funcledger_event_log.records import Record
from funcledger_projectors.batch import Batch, Changed
from funcledger_projectors.dead_letters import DeadLetters
from funcledger_projectors.recent import Recent
from funcledger_read_models.port import ReadModelStore

T = TypeVar("T")
#: Batches of up to so many records are folded on the event loop: about a millisecond.
INLINE_RECORDS = 32


class Applier:
    """Takes records in partition order. What was applied before is passed over (law 3).

    Documents and positions are saved together, so after a crash at any point applying again from
    the stored positions gives what never having crashed would have given.
    """

    def __init__(self, store: ReadModelStore, dead_letters: DeadLetters | None) -> None:
        self._store = store
        self._dead_letters = dead_letters
        self._recent = Recent()
        #: Per partition, the offset after the last record applied.
        self.positions: dict[tuple[str, int], int] = {}

    async def reload(self) -> None:
        """Go by what the store says, and by nothing remembered."""
        self._recent.clear()
        self.positions = await self._store.positions()

    async def apply(self, records: Sequence[Record]) -> None:
        """Fold these records and save the outcome.

        After any error what is remembered is no longer sure: :meth:`reload` before going on.

        Raises:
            StaleWriter: another projector is ahead of this one.
            StoreUnavailable, LogUnavailable, OutcomeUnknown: try again later.
        """
        before = self.positions
        fresh = [each for each in records if each.offset >= before.get((each.topic, each.partition), 0)]
        if not fresh:
            return
        many = len(fresh) > INLINE_RECORDS
        batch = await _compute(many, lambda: Batch(fresh))
        changed = await self._fold(many, batch)
        if self._dead_letters is not None:
            await self._dead_letters.keep(batch.poison)
        after = {(each.topic, each.partition): each.offset + 1 for each in fresh}
        await self._store.save(changed, after, {where: before.get(where, 0) for where in after})
        self._recent.keep(changed)
        self.positions = before | after

    async def _fold(self, many: bool, batch: Batch) -> Changed:
        documents, missing = self._recent.look_up(batch.wanted())
        if missing:
            for model, found in (await self._store.load(missing)).items():
                documents[model].update(found)
        return await _compute(many, lambda: batch.fold(documents))


async def _compute(many: bool, work: Callable[[], T]) -> T:
    return await asyncio.to_thread(work) if many else work()
