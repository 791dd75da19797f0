"""Whether appends get through again, found out by one that says nothing."""

import asyncio
from collections.abc import Awaitable, Callable


class Probe:
    """One of them at a time, whoever waits for it and goes away.

    It ends as any append does, at the latest when its record is given up, so that a producer through which
    nothing gets is found out even where nobody else appends.
    """

    def __init__(self, append: Callable[[], Awaitable[object]]) -> None:
        self._append = append
        self._under_way: asyncio.Future[object] | None = None

    async def passes(self) -> None:
        """Wait until it is acknowledged; what the append raises is raised."""
        if self._under_way is None or self._under_way.done():
            self._under_way = asyncio.ensure_future(self._append())
        await asyncio.shield(self._under_way)

    async def close(self) -> None:
        """Wait for it no longer."""
        if self._under_way is not None:
            self._under_way.cancel()
            await asyncio.gather(self._under_way, return_exceptions=True)
