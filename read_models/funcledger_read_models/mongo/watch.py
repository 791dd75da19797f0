"""Waiting for the next save of any process: one poller for all who wait, and none while nobody does."""

import asyncio
from collections.abc import Awaitable, Callable

from bson import ObjectId

from funcledger_read_models.changes import Changes
from funcledger_read_models.port import StoreError

#: Seconds between looks: the first after a change, and the longest.
FIRST, LONGEST = 0.01, 0.2
_GROWTH = 1.5


class Watch:
    """Compares the id of the last save with the last one seen.

    What was seen is never later than the call of :meth:`wait`, so no save is missed; one that was made
    shortly before may end it early.
    """

    def __init__(self, read: Callable[[], Awaitable[ObjectId | None]], seen: ObjectId | None) -> None:
        self._read = read
        self._seen = seen
        self._changes = Changes()
        self._waiting = 0
        self._poller: asyncio.Task[None] | None = None

    def note(self, save: ObjectId | None) -> None:
        """This is the last save, as just read or made."""
        if save != self._seen:
            self._seen = save
            self._changes.happened()

    async def wait(self, timeout: float) -> None:
        """Return once another save is seen, or after ``timeout`` seconds at the latest."""
        self._waiting += 1
        if self._poller is None or self._poller.done():
            self._poller = asyncio.create_task(self._poll(), name="read models' changes")
        try:
            await self._changes.wait(timeout)
        finally:
            self._waiting -= 1

    async def _poll(self) -> None:
        pause = FIRST
        while self._waiting:
            await asyncio.sleep(pause)
            before = self._seen
            try:
                self.note(await self._read())
            except StoreError:
                # Those who wait look next, and meet the same error where it can be answered.
                self._changes.happened()
            pause = FIRST if self._seen != before else min(pause * _GROWTH, LONGEST)

    async def stop(self) -> None:
        """Poll no more."""
        if self._poller is not None:
            self._poller.cancel()
            await asyncio.gather(self._poller, return_exceptions=True)
