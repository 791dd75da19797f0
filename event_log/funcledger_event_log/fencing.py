"""How a writer makes sure that its fence knows every start that stands before its own events."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from typing import Protocol

from funcledger_event_log.fence import Fence
from funcledger_event_log.port import EventLog, LogUnavailable, OutcomeUnknown
from funcledger_event_log.records import Record, TopicPartition
from funcledger_schemas.events import EndpointStarted, Event


class Fencing(Protocol):
    """A fence, and the way to bring it up to an offset."""

    @property
    def fence(self) -> Fence:
        """What is known so far."""
        ...

    async def passed(self, events: Sequence[Event], end: int | None) -> None:
        """Return once the fence knows the endpoint's results up to ``end``; None for those there are now.

        ``events`` are those just appended.

        Raises:
            OutcomeUnknown: it could not find out; sending the same events again is safe.
        """
        ...

    async def close(self) -> None:
        """Let go of what this endpoint alone needed."""
        ...


class OwnFencing:
    """Follows one endpoint's partition of results, as far as it has to each time.

    It begins where the agent's first event says that the agent has read to: nothing before matters.
    """

    def __init__(self, log: EventLog, results: TopicPartition) -> None:
        self.fence = Fence()
        self._log = log
        self._results = results
        self._next: int | None = None
        self._batches: AsyncGenerator[list[Record]] | None = None
        self._lock = asyncio.Lock()

    async def passed(self, events: Sequence[Event], end: int | None) -> None:
        """As the protocol says."""
        async with self._lock:
            try:
                if end is None:
                    end = (await self._log.ends(self._results.topic))[self._results.partition]
                await self._follow_to(end, events)
            except LogUnavailable as error:
                await self.close()
                raise OutcomeUnknown(f"appended, but the log cannot be followed just now: {error}") from error
            except BaseException:
                await self.close()
                raise

    async def _follow_to(self, end: int, events: Sequence[Event]) -> None:
        if self._next is None:
            lowest = (await self._log.starts(self._results.topic))[self._results.partition]
            self._next = max(lowest, min(_read_to(event) for event in events))
        while self._next < end:
            if self._batches is None:
                self._batches = self._log.follow({self._results: self._next})
            batch = await anext(self._batches)
            self.fence.apply(batch)
            self._next = batch[-1].offset + 1

    async def close(self) -> None:
        """Stop following; should it be called once more, it goes on from the same place."""
        batches, self._batches = self._batches, None
        if batches is not None:
            await batches.aclose()


def _read_to(event: Event) -> int:
    """The agent has read its results at least up to the epoch it found or has."""
    epoch = event.supersedes if isinstance(event, EndpointStarted) else getattr(event, "epoch", None)
    return max(epoch or 0, 0)
