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
    """Takes records in partition order. What was taken before is passed over (law 3).

    Documents and positions are saved together, so after a crash at any point applying again from
    the stored positions gives what never having crashed would have given.

    After an error what is remembered is no longer sure: :meth:`reload` before going on.
    """

    def __init__(self, store: ReadModelStore, dead_letters: DeadLetters | None) -> None:
        self._store = store
        self._dead_letters = dead_letters
        self._recent = Recent()
        #: Per partition, the offset after the last record applied.
        self.positions: dict[tuple[str, int], int] = {}
        self._taken: dict[tuple[str, int], int] = {}

    async def reload(self) -> None:
        """Go by what the store says, and by nothing remembered."""
        self._recent.clear()
        self.positions = await self._store.positions()
        self._taken = dict(self.positions)

    async def prepare(self, records: Sequence[Record]) -> Batch:
        """Read these records; may go on while the batch before is being applied."""
        taken = self._taken
        fresh = [each for each in records if each.offset >= taken.get((each.topic, each.partition), 0)]
        batch = await _compute(len(fresh), lambda: Batch(fresh))
        taken.update(batch.ends)
        return batch

    async def apply(self, batch: Batch) -> None:
        """Fold a batch, in the order they were prepared in, and save what comes of it."""
        await self.save(batch, await self.fold(batch))

    async def fold(self, batch: Batch) -> Changed:
        """The documents that change; to be saved before the next batch is folded.

        Raises:
            StoreUnavailable: try again later.
        """
        documents, missing = self._recent.look_up(batch.wanted())
        if missing:
            for model, found in (await self._store.load(missing)).items():
                documents[model].update(found)
        if more := batch.wanted_then(documents):
            documents.update(await self._store.load(more))
        return await _compute(len(batch), lambda: batch.fold(documents))

    async def save(self, batch: Batch, changed: Changed) -> None:
        """Save what :meth:`fold` gave, with the positions it reflects.

        Raises:
            StaleWriter: another projector is ahead of this one.
            StoreUnavailable, LogUnavailable, OutcomeUnknown: try again later.
        """
        if not batch.ends:
            return
        if self._dead_letters is not None:
            await self._dead_letters.keep(batch.poison)
        before = {where: self.positions.get(where, 0) for where in batch.ends}
        await self._store.save(changed, batch.ends, before)
        self._recent.keep(changed)
        self.positions = self.positions | batch.ends
        if batch.settled:
            # After all else: a store without transactions may crash amid a save, and would miss them then.
            await self._store.save(batch.settled, {}, {})


async def _compute(records: int, work: Callable[[], T]) -> T:
    return await asyncio.to_thread(work) if records > INLINE_RECORDS else work()
