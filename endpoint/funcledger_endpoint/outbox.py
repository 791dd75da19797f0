"""Events on their way to the log: gathered while an append is in flight, then sent as the next one."""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial

from funcledger_endpoint.patience import patiently
from funcledger_event_log.endpoint_port import EndpointLog
from funcledger_schemas.events import Event

#: Most one append carries, in events and in payload bytes, so that it fits into a request.
_EVENTS, _BYTES = 2000, 12 << 20
#: What may wait, in events and in payload bytes, before no more tasks are begun.
MOST_WAITING, _FULL_BYTES = 20_000, 32 << 20


class Outbox:
    """Appends events in the order added, and the same ones again until the log has them."""

    def __init__(self, log: EndpointLog) -> None:
        self._log = log
        self._waiting: deque[Event] = deque()
        self._bytes = 0
        self._wake = asyncio.Event()
        self._empty = asyncio.Event()
        self._empty.set()

    def add(self, event: Event) -> None:
        """Have the event appended after those added before."""
        self._waiting.append(event)
        self._bytes += len(getattr(event, "payload", b""))
        if not self._wake.is_set():
            self._wake.set()
            self._empty.clear()

    @property
    def full(self) -> bool:
        """Whether the log is so far behind that nothing more should be begun."""
        return len(self._waiting) > MOST_WAITING or self._bytes > _FULL_BYTES

    async def run(self, on_durable: Callable[[Sequence[Event], Sequence[int]], None]) -> None:
        """Append, without end; ``on_durable`` is told of each append: its events and their offsets.

        Raises:
            Fenced: a newer agent has taken over.
        """
        while True:
            await self._wake.wait()
            batch = self._take()
            offsets = await patiently("appending outcomes", partial(self._log.append, batch))
            on_durable(batch, offsets)
            if not self._waiting:
                self._wake.clear()
                self._empty.set()

    def _take(self) -> list[Event]:
        batch: list[Event] = []
        size = 0
        while self._waiting and len(batch) < _EVENTS and (not batch or size < _BYTES):
            event = self._waiting.popleft()
            size += len(getattr(event, "payload", b""))
            batch.append(event)
        self._bytes -= size
        return batch

    async def drained(self) -> None:
        """Return once everything added is durable."""
        await self._empty.wait()
