"""Asks the read models about outcomes of which the feed cannot know whether they are the first, or any."""

import asyncio
import logging
from collections.abc import Callable, Iterable

from funcledger_event_log.patience import retrying
from funcledger_event_log.port import EventLog, LogUnavailable
from funcledger_event_log.present import present
from funcledger_event_log.records import Token, TopicPartition
from funcledger_query_api.landed import Landed
from funcledger_query_api.progress import Progress
from funcledger_query_api.subscription import Subscription
from funcledger_read_models.documents import TASK_STATUS, Document, Key, TaskStatus
from funcledger_read_models.port import ReadModelStore, StoreUnavailable
from funcledger_schemas.lifecycle import is_about

_log = logging.getLogger(__name__)


class Doubts:
    """Settles doubtful outcomes, all that have gathered with one query; only their readers wait.

    ``settled`` is told of each that turns out to be its task's first.
    """

    def __init__(
        self, log: EventLog, store: ReadModelStore, progress: Progress, settled: Callable[[Landed], None]
    ) -> None:
        self._log = log
        self._store = store
        self._progress = progress
        self._settled = settled
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
                LogUnavailable,
                first=0.05,
                most=2.0,
                say=lambda _: _log.warning("the read models cannot be asked; trying again"),
            )(self._load, [landed for landed, _ in asked])
            found: dict[Key, Landed] = {}
            for landed, readers in asked:
                document = known.get(landed.key)
                landed.first = landed.key not in found and _is_first(landed, document)
                if landed.first:
                    found[landed.key] = landed
                    self._settled(landed)
                for reader in readers:
                    reader.wake()

    async def _load(self, asked: list[Landed]) -> dict[Key, Document]:
        await self._pass(self.forgotten)
        found = await self._ask([landed.key for landed in asked])
        doubtful = [landed for landed in asked if not landed.submitted]
        if early := [landed for landed in doubtful if not _is_submitted(found.get(landed.key))]:
            # Its submission stands before it, if there is one, and the read models may not have come to it.
            ends = (await present(self._log, ["tasks"])).ends
            wanted = {TopicPartition("tasks", landed.partition) for landed in early}
            await self._pass(Token({where: end for where, end in ends.items() if where in wanted}))
            found |= await self._ask([landed.key for landed in early])
        return found

    async def _pass(self, token: Token) -> None:
        while not await self._progress.passed(token, None):
            pass

    async def _ask(self, keys: list[Key]) -> dict[Key, Document]:
        return (await self._store.load({TASK_STATUS: keys})).get(TASK_STATUS, {})


def _is_submitted(document: Document | None) -> bool:
    return isinstance(document, TaskStatus) and document.submitted_offset is not None


def _is_of(landed: Landed, document: TaskStatus) -> bool:
    submission = document.submitted_offset
    return submission is not None and is_about(landed.event, submission, document.batch_id)


def _is_first(landed: Landed, document: Document | None) -> bool:
    if not isinstance(document, TaskStatus):
        return landed.submitted
    if not (landed.submitted or _is_of(landed, document)):
        return False
    return document.outcome_offset is None or document.outcome_offset >= landed.offset
