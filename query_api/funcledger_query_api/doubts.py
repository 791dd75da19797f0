"""Asks the read models about outcomes of which the feed cannot know whether they are the first."""

import asyncio
import logging
from collections.abc import Iterable

from funcledger_event_log.patience import retrying
from funcledger_event_log.records import Token
from funcledger_query_api.landed import Landed
from funcledger_query_api.progress import Progress
from funcledger_query_api.subscription import Subscription
from funcledger_read_models.documents import TASK_STATUS, Document, Key, TaskStatus
from funcledger_read_models.port import ReadModelStore, StoreUnavailable

_log = logging.getLogger(__name__)


class Doubts:
    """Settles doubtful outcomes, all that have gathered with one query; only their readers wait."""

    def __init__(self, store: ReadModelStore, progress: Progress) -> None:
        self._store = store
        self._progress = progress
        self._gathered: list[tuple[Landed, tuple[Subscription, ...]]] = []
        self._asker: asyncio.Task[None] | None = None
        #: What the feed no longer remembers: the read models must have passed it to know better.
        self.forgotten = Token()

    def ask(self, landed: Landed, readers: Iterable[Subscription]) -> None:
        """Find out whether this outcome is its task's first, then wake its readers."""
        self._gathered.append((landed, tuple(readers)))
        if self._asker is None or self._asker.done():
            self._asker = asyncio.create_task(self._settle_all(), name="outcome feed: doubts")

    async def stop(self) -> None:
        """Leave the rest unsettled."""
        if self._asker is not None:
            self._asker.cancel()
            await asyncio.gather(self._asker, return_exceptions=True)

    async def _settle_all(self) -> None:
        while self._gathered:
            asked, self._gathered = self._gathered, []
            known: dict[Key, Document] = await retrying(
                StoreUnavailable,
                first=0.05,
                most=2.0,
                say=lambda _: _log.warning("the read models cannot be asked; trying again"),
            )(self._load, [landed.key for landed, _ in asked])
            for landed, readers in asked:
                landed.first = _is_first(landed, known.get(landed.key))
                for reader in readers:
                    reader.wake()

    async def _load(self, keys: list[Key]) -> dict[Key, Document]:
        while not await self._progress.passed(self.forgotten, None):
            pass
        return (await self._store.load({TASK_STATUS: keys})).get(TASK_STATUS, {})


def _is_first(landed: Landed, document: Document | None) -> bool:
    assert document is None or isinstance(document, TaskStatus)
    if document is None or document.outcome_offset is None:
        return True
    return document.outcome_offset >= landed.offset
