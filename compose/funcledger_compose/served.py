"""An endpoint served by one agent after another, where what it must read is damaged until it is mended."""

import asyncio
import contextlib
import random
from collections.abc import Callable

from funcledger_endpoint.agent import Agent
from funcledger_endpoint.patience import Complaint
from funcledger_event_log.port import LogCorrupt

#: Seconds between agents: at first, and at most.
_FIRST, _LONGEST = 2.0, 60.0


class Served:
    """Runs an agent until it is told to stop; after damage to the log a new one, which begins from the log.

    What an agent holds in memory may be ahead of the backup that was put back, so none is used again.
    """

    def __init__(self, make: Callable[[], Agent], first: float = _FIRST) -> None:
        """``make`` makes an agent; ``first`` is the first pause in seconds; each may be twice the last."""
        self._make = make
        self._first = first
        self._agent: Agent | None = None
        self._stopped = asyncio.Event()

    def stop(self) -> None:
        """Start no more tasks, let running ones finish for a while, then end :meth:`run`."""
        self._stopped.set()
        if self._agent is not None:
            self._agent.stop()

    async def run(self) -> None:
        """Serve the endpoint; raises as :meth:`Agent.run` does, but for damage to the log."""
        complaint, pause = Complaint("serving the endpoint"), self._first
        while not self._stopped.is_set():
            self._agent = self._make()
            try:
                await self._agent.run()
            except LogCorrupt as error:
                complaint.failed(error)
            else:
                return
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopped.wait(), random.uniform(pause / 2, pause))  # noqa: S311
            pause = min(2 * pause, _LONGEST)
