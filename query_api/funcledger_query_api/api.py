"""The routers of the query side over its parts."""

from collections.abc import Callable

from fastapi import APIRouter

from funcledger_event_log.port import EventLog
from funcledger_event_log.submissions import SubmissionMemory
from funcledger_query_api import batches, endpoints, functions, results, tasks
from funcledger_query_api.feed import RECENT_BYTES, REMEMBERED, OutcomeFeed
from funcledger_query_api.progress import Progress, unheard
from funcledger_query_api.queries import Queries
from funcledger_read_models.port import ReadModelStore
from funcledger_web.rates import Waits

#: Bytes of the newest outcomes that are enough where read models can be hurried: what stays long in memory
#: among much that does not makes everything slower.
HURRIED_BYTES = 8 << 20


class QuerySide:
    """One process's query side: start it before its routers are served, stop it after.

    ``remembered`` is how many finished tasks it knows without asking the read models; ``waits`` bounds the
    streams and waits that a principal may have open. ``hurry`` is told when somebody begins to wait for the
    read models, and when nobody does any more. ``submitted`` is where it notes what it follows of ``tasks``.
    """

    def __init__(
        self,
        log: EventLog,
        store: ReadModelStore,
        remembered: int = REMEMBERED,
        *,
        waits: Waits | None = None,
        hurry: Callable[[bool], None] = unheard,
        submitted: SubmissionMemory | None = None,
    ) -> None:
        self.progress = Progress(store, hurry)
        recent = RECENT_BYTES if hurry is unheard else HURRIED_BYTES
        self.feed = OutcomeFeed(
            log, store, self.progress, submitted, remembered=remembered, recent_bytes=recent
        )
        self._queries = Queries(log, store, self.progress, self.feed, waits or Waits())

    def routers(self) -> list[APIRouter]:
        """What it answers."""
        return [part.router(self._queries) for part in (tasks, results, batches, endpoints, functions)]

    async def start(self) -> None:
        """Begin to follow the log; returns once caught up.

        Raises:
            StoreUnavailable, LogUnavailable: try again later.
        """
        await self.progress.now()
        await self.feed.start()
        await self._queries.freshness.start()

    def close_streams(self) -> None:
        """End every stream and wait: call it when the server begins to stop, for it waits for them."""
        self.feed.close_streams()

    async def missing(self) -> list[str]:
        """Parts that are not ready, for ``/readyz``."""
        return [] if self.feed.failed is None else ["outcome feed"]

    async def stop(self) -> None:
        """Let go of everything."""
        await self._queries.freshness.stop()
        await self.feed.stop()
        await self.progress.stop()
