"""Follows the endpoint's tasks, through cuts and with fresh credit whenever what was sent is worked off."""

import asyncio
from collections.abc import Callable
from contextlib import aclosing

from funcledger_endpoint.patience import retrying
from funcledger_event_log.endpoint_port import EndpointLog
from funcledger_event_log.records import Record
from funcledger_schemas.events import TaskSubmitted


class Feed:
    """Passes on every record from ``start`` on, in order and once. ``next`` is the next offset to come."""

    def __init__(self, log: EndpointLog, start: int, take: Callable[[list[Record]], None]) -> None:
        self.next = start
        self._log = log
        self._take = take
        self._credit = (0, 0)
        self._left = (0, 0)
        self._following: asyncio.Task[None] | None = None

    def grant(self, submissions: int, size: int) -> None:
        """So many submissions and payload bytes may come whole, if that is much more than may come now.

        Less than none, where what is held is over its limit, is none.
        """
        submissions, size = max(0, submissions), max(0, size)
        if self._left[0] * 2 < submissions or self._left[1] * 2 < size:
            self._credit = self._left = (submissions, size)
            if self._following is not None:
                self._following.cancel()

    async def run(self) -> None:
        """Follow, without end.

        Raises:
            Fenced: a newer agent has taken over.
        """
        while True:
            following = self._following = asyncio.create_task(self._follow())
            try:
                # Not awaited itself: its being cancelled for a fresh grant must not look like our own end.
                await asyncio.wait([following])
            finally:
                following.cancel()
                await asyncio.wait([following])
            if not following.cancelled():
                following.result()

    async def _follow(self) -> None:
        async for attempt in retrying("following tasks"):
            with attempt:
                await self._stream()

    async def _stream(self) -> None:
        submissions, size = self._left = self._credit
        stream = self._log.follow_tasks(self.next, credit=submissions, credit_bytes=size)
        async with aclosing(stream) as batches:
            async for batch in batches:
                if batch:
                    self._spend(batch)
                    self.next = batch[-1].offset + 1
                    self._take(batch)

    def _spend(self, batch: list[Record]) -> None:
        whole = [record for record in batch if record.type == TaskSubmitted.__name__]
        size = sum(len(record.value) for record in whole)
        # What came last may be more than was asked for, since a single one always may come.
        self._left = (max(0, self._left[0] - len(whole)), max(0, self._left[1] - size))
