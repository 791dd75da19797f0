"""Waiting for the next save, for stores whose writers share a process with their readers."""

import asyncio
import contextlib


class Changes:
    """Wakes everybody who waits when something was saved."""

    def __init__(self) -> None:
        self._waiting: set[asyncio.Future[None]] = set()

    def happened(self) -> None:
        """Something was saved; called on the event loop of those who wait."""
        for future in self._waiting:
            if not future.done():
                future.set_result(None)

    async def wait(self, timeout: float) -> None:
        """Return once something is saved, or after ``timeout`` seconds at the latest."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.add(future)
        try:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(future, timeout)
        finally:
            self._waiting.discard(future)
