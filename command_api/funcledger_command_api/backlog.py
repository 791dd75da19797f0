"""Keeps an endpoint from being given more than it can hold: beyond a limit, tasks are to come again later."""

import asyncio
import contextlib
import logging
from collections import Counter, deque
from collections.abc import Mapping
from typing import NamedTuple

import msgspec

from funcledger_command_api.tally import TOPICS, Row, Tally
from funcledger_event_log.follower import Tail
from funcledger_event_log.patience import retrying
from funcledger_event_log.port import EventLog, LogError, LogUnavailable
from funcledger_event_log.records import Token, TopicPartition
from funcledger_schemas import clock
from funcledger_schemas.limits import BACKLOG_BYTES, BACKLOG_TASKS
from funcledger_web.problems import Problem

_log = logging.getLogger(__name__)

#: Seconds in which records may gather before they are counted; what was taken meanwhile is known anyway.
_GATHER = 0.05
#: Seconds between commits of the count: what a server that was killed counts again when it is back.
_COMMIT = 10.0
#: Seconds after which a client that was refused may come again.
_RETRY_AFTER = 1
_CONSUMER = "backlog"


class Kept(msgspec.Struct):
    """What goes with a position in a partition of ``tasks``: the one in ``results``, and the counts there."""

    results: int
    loads: list[Row]


class Asked(NamedTuple):
    """What a request has for one endpoint: so many tasks, and payload bytes of them."""

    tasks: int
    bytes: int


class Backlog:
    """Counts per endpoint what is unfinished, from the log alone: also what other processes have taken.

    It refuses from the limit on, and not what would go over it: so a request is never too large to be taken,
    and the limit is passed by at most the requests that were under way.
    """

    def __init__(
        self, log: EventLog, *, tasks: int = BACKLOG_TASKS, size: int = BACKLOG_BYTES, commit: float = _COMMIT
    ) -> None:
        self._log = log
        self._tasks, self._size = tasks, size
        self._commit_interval = commit
        self._tally = Tally()
        self._tail: Tail | None = None
        self._running: asyncio.Task[None] | None = None
        self._committed: dict[int, tuple[int, int]] = {}
        #: Taken, and not counted yet: by endpoint; and those of it that are on the log, up to where.
        self._taken: Counter[str] = Counter()
        self._taken_bytes: Counter[str] = Counter()
        self._landed: deque[tuple[Token, Mapping[str, Asked]]] = deque()

    async def start(self) -> None:
        """Begin to count, where the last commit was; returns at once."""
        self._running = asyncio.create_task(self._run(), name="backlog")

    async def stop(self) -> None:
        """Commit the count, and stop."""
        if self._running is None:
            return
        self._running.cancel()
        await asyncio.gather(self._running, return_exceptions=True)
        if self._tail is not None:
            await self._tail.stop()
            with contextlib.suppress(LogError):  # the next one counts again from the commit before
                await self._commit()

    def of(self, endpoint_id: str) -> tuple[int, int]:
        """Tasks and bytes that are unfinished, or on their way to the log."""
        self._forget_counted()
        tasks, size = self._tally.of(endpoint_id)
        return tasks + self._taken[endpoint_id], size + self._taken_bytes[endpoint_id]

    def take(self, asked: Mapping[str, Asked]) -> None:
        """Count these as taken, before they are on the log; :meth:`landed` or :meth:`give_back` follows.

        Raises:
            Problem: 429, one of the endpoints has as much to do as it may; nothing was taken.
        """
        for endpoint_id in asked:
            tasks, size = self.of(endpoint_id)
            if tasks >= self._tasks:
                raise _full(endpoint_id, "tasks", tasks, self._tasks)
            if size >= self._size:
                raise _full(endpoint_id, "bytes of tasks", size, self._size)
        for endpoint_id, each in asked.items():
            self._taken[endpoint_id] += each.tasks
            self._taken_bytes[endpoint_id] += each.bytes

    def landed(self, asked: Mapping[str, Asked], token: Token) -> None:
        """They are on the log: whoever has read up to the token has seen them."""
        if self._tail is None or self._tail.failed is not None:
            self.give_back(asked)  # nobody counts just now, so nobody shall be made to wait
        else:
            self._landed.append((token, asked))

    def give_back(self, asked: Mapping[str, Asked]) -> None:
        """They are not on the log, or will be counted like those of another process."""
        for endpoint_id, each in asked.items():
            self._taken[endpoint_id] -= each.tasks
            self._taken_bytes[endpoint_id] -= each.bytes
            if self._taken[endpoint_id] <= 0:
                del self._taken[endpoint_id], self._taken_bytes[endpoint_id]

    def _forget_counted(self) -> None:
        """Those taken here that the tail has passed are in the tally now."""
        if not self._landed or self._tail is None:
            return
        failed = self._tail.failed is not None
        if failed:  # as it has said; what it counted before says nothing any more
            self._tally = Tally()
        position = self._tail.position.ends
        while self._landed:
            token, asked = self._landed[0]
            if not failed and any(position.get(where, 0) < end for where, end in token.ends.items()):
                return
            self._landed.popleft()
            self.give_back(asked)

    async def _run(self) -> None:
        await retrying(LogUnavailable, first=0.1, most=5.0)(self._begin)
        while True:
            await clock.sleep(self._commit_interval)
            try:
                await self._commit()
            except LogError as error:
                _log.warning("the count of unfinished tasks is not committed now: %s", error)

    async def _begin(self) -> None:
        heartbeats = await self._log.ends("heartbeats")
        start = {TopicPartition("heartbeats", partition): end for partition, end in heartbeats.items()}
        lowest = await self._log.starts("results")
        for partition, first in (await self._log.starts("tasks")).items():
            where = TopicPartition("tasks", partition)
            kept = await self._log.committed(_CONSUMER, where)
            if kept is None:
                continue  # it is counted from its beginning
            with contextlib.suppress(msgspec.DecodeError):  # as above
                found = msgspec.json.decode(kept.metadata, type=Kept)
                self._tally.restore(partition, found.loads)
                start[where] = max(kept.offset, first)
                start[TopicPartition("results", partition)] = max(found.results, lowest.get(partition, 0))
        tail = Tail(self._log, TOPICS, self._tally.apply, start=start, gather=_GATHER, name="backlog")
        self._tail = tail
        await tail.start()

    async def _commit(self) -> None:
        """Keep the count of every partition in which something has moved, beside its position."""
        if self._tail is None or self._tail.failed is not None:
            return
        # All of it before the first await, since counts and positions belong together.
        ends, loads = self._tail.position.ends, self._tally.snapshot()
        for where in [each for each in ends if each.topic == "tasks"]:
            results = ends.get(TopicPartition("results", where.partition), 0)
            if self._committed.get(where.partition) == (ends[where], results):
                continue
            kept = Kept(results, loads.get(where.partition, []))
            await self._log.commit(_CONSUMER, where, ends[where], msgspec.json.encode(kept).decode())
            self._committed[where.partition] = (ends[where], results)


def _full(endpoint_id: str, what: str, backlog: int, limit: int) -> Problem:
    detail = (
        f"Endpoint {endpoint_id} has {backlog:,} unfinished {what}, the limit is {limit:,}. "
        "Nothing was taken: send the same request again later."
    )
    return Problem(
        "backlog-full",
        detail,
        retry_after=_RETRY_AFTER,
        endpoint_id=endpoint_id,
        backlog=backlog,
        limit=limit,
    )
