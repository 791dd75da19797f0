"""The port ``Assignment``: which partitions are this process's to work on, and until when."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Share:
    """The partition numbers that are ours, of every topic; None for all there are.

    One number for all topics: what is said of an endpoint stands in the same partition of each.
    """

    numbers: frozenset[int] | None = None
    #: Set when they change: whoever works on them finishes what is being written, and lets go.
    over: asyncio.Event = field(default_factory=asyncio.Event)

    def __contains__(self, number: int) -> bool:
        return self.numbers is None or number in self.numbers


class Assignment(Protocol):
    """Divides partitions among processes that do the same work.

    Laws: two processes hold a partition at the same time only while one of them has not noticed that it
    was given up for lost; what it then writes is for the guards of what it writes to to refuse.
    """

    @property
    def share(self) -> Share:
        """What is ours just now."""
        ...

    async def join(self) -> None:
        """Ask for a share."""
        ...

    def hold(self) -> AbstractAsyncContextManager[Share]:
        """Our share, once there is one, until the end of the block; nobody else is given it before that."""
        ...

    async def leave(self) -> None:
        """Give back what we have, at once, for others."""
        ...


class Everything:
    """The ``Assignment`` of the one process that does all."""

    @property
    def share(self) -> Share:
        """As the protocol says: all partitions."""
        return Share()

    async def join(self) -> None:
        """As the protocol says."""

    @asynccontextmanager
    async def hold(self) -> AsyncGenerator[Share]:
        """As the protocol says: for ever."""
        yield self.share

    async def leave(self) -> None:
        """As the protocol says."""
