"""Between the reader of the log and the folding: what has been read waits here, and is taken many at once.

So batches grow with the backlog and are single records when there is none.
"""

import asyncio
import contextlib
import sys

from funcledger_event_log.following import bytes_of
from funcledger_event_log.records import Record

#: The reader waits while so many records, or bytes of values, lie here.
RECORDS, BYTES = 16_000, 32 << 20
#: Where so many lie here, more are coming: then it pays to let them gather for so many seconds. What is
#: written of a task when it comes, when it begins and when it ends is then more often written once.
MANY, GATHER = 500, 0.25


class Inbox:
    """Holds a bounded number of records for one taker: ``room`` of them, gathered for ``gather`` seconds."""

    def __init__(self, gather: float = GATHER, room: int = RECORDS) -> None:
        self._gather, self._room = gather, room
        self._hurried = False
        self._records: list[Record] = []
        self._bytes = 0
        self._closed = False
        self._error: Exception | None = None
        self._changed = asyncio.Condition()

    def __len__(self) -> int:
        return len(self._records)

    async def put(self, records: list[Record]) -> None:
        """Add records, once there is room."""
        async with self._changed:
            await self._changed.wait_for(lambda: not self._full)
            self._records += records
            self._bytes += bytes_of(records)
            self._changed.notify_all()

    @property
    def _full(self) -> bool:
        return len(self._records) >= self._room or self._bytes >= BYTES

    async def take(self, most: int = sys.maxsize, pause: float = 0.0) -> list[Record]:
        """What lies here, at most so many, in order, once there is something; nothing at all after the end.

        From then on it lets more gather, unless :meth:`hurry` says that somebody waits: for ``pause``
        seconds, or for longer where there are many.

        Raises:
            Exception: what :meth:`close` was given, when nothing is left.
        """
        async with self._changed:
            await self._changed.wait_for(lambda: self._records or self._closed)
            if len(self._records) >= MANY:
                await self._let_gather(self._gather, most)
            elif pause:
                await self._let_gather(min(pause, self._gather), most)
            records, self._records = self._records[:most], self._records[most:]
            self._bytes -= bytes_of(records)
            self._changed.notify_all()
        if not records and self._error is not None:
            raise self._error
        return records

    async def _let_gather(self, seconds: float, most: int) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._changed.wait_for(lambda: len(self._records) >= most or self._no_more)

    @property
    def _no_more(self) -> bool:
        return self._full or self._closed or self._hurried

    async def hurry(self, wanted: bool) -> None:
        """Whether what lies here is to be given at once."""
        async with self._changed:
            self._hurried = wanted
            self._changed.notify_all()

    async def close(self, error: Exception | None = None) -> None:
        """No more will come, for this reason."""
        async with self._changed:
            self._closed, self._error = True, error
            self._changed.notify_all()
