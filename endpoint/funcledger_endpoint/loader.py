"""Fetches the payloads of tasks whose turn nears and of which only the place in the log is held."""

import asyncio
from collections.abc import Callable

from funcledger_endpoint.backlog import Backlog
from funcledger_endpoint.patience import patiently
from funcledger_endpoint.task import Task
from funcledger_event_log.endpoint_port import EndpointLog
from funcledger_schemas.events import TaskSubmitted


class Loader:
    """``loaded`` is told when tasks have become ready, ``gone`` of one that the log no longer has."""

    def __init__(
        self, log: EndpointLog, backlog: Backlog, loaded: Callable[[], None], gone: Callable[[Task], None]
    ) -> None:
        self._log, self._backlog = log, backlog
        self._loaded, self._gone = loaded, gone
        self._wake = asyncio.Event()

    def nudge(self) -> None:
        """There may be something to fetch."""
        self._wake.set()

    async def run(self) -> None:
        """Fetch, without end."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            while lean := self._backlog.lean():
                await self._load(lean)
                self._loaded()

    async def _load(self, lean: list[Task]) -> None:
        offsets = [task.offset for task in lean]
        records = await patiently("fetching submissions", lambda: self._log.fetch(offsets))
        events = {record.offset: record.event() for record in records}
        for task in lean:
            event = events.get(task.offset)
            if isinstance(event, TaskSubmitted) and len(event.payload) == event.payload_size:
                task.submission = event
            elif not task.closed:
                self._gone(task)
        self._backlog.load(dict.fromkeys(task.owner for task in lean))
