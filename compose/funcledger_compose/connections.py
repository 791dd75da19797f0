"""Bounds on connections, kept before a token is asked for: their number, idle ones, large and slow heads.

What uvicorn's own settings leave open, and why it is closed here: docs/decisions/0024.
"""

import asyncio
import math
import resource
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from enum import IntEnum
from typing import Protocol

from funcledger_schemas.limits import CONNECTIONS, CONNECTIONS_PER_ADDRESS

#: File descriptors that are left for everything else: logs, databases, brokers, and connections just closed.
_OTHER_FILES = 256
#: Seconds between two looks at who has waited too long.
_LOOK = 0.5


@dataclass(slots=True, frozen=True, kw_only=True)
class ConnectionLimits:
    """Bytes, seconds and numbers that connections are held to."""

    #: Connections in all, and from one address.
    connections: int = CONNECTIONS
    per_address: int = CONNECTIONS_PER_ADDRESS
    #: Bytes of a request's head, which the SDK's tokens need most of at 1,000 partitions whatever the
    #: offsets; of its target (the parser's own limit); and header fields in it.
    head: int = 256 * 1024
    target: int = 65_535 - 1
    fields: int = 100
    #: Bytes of all heads together that are not complete yet.
    heads: int = 32 * 1024 * 1024
    #: Seconds that a head may take, counted from its first byte, or from the connection's start.
    head_time: float = 10.0
    #: Seconds that a connection may stay open without a request.
    idle_time: int = 75
    #: Seconds that what is left of a request may take when the answer has been given.
    rest_time: float = 20.0
    #: Seconds that a connection is still read from, so that its last answer is not lost.
    linger_time: float = 2.0
    #: Requests of one connection that may wait for an earlier one's answer.
    pipelined: int = 16


class WaitsFor(IntEnum):
    """What a connection waits for from its client; of the first ones the oldest goes when room is needed."""

    #: Its last answer is given: for the end.
    END = 0
    #: The rest of its first, or of a begun, head.
    HEAD = 1
    #: The rest of a request that was answered already.
    REST = 2
    #: A request, after one that nobody's token came with.
    STRANGER = 3
    #: A request, after one with a valid token.
    KNOWN = 4


class BoundedConnection(Protocol):
    """What the registry must know of a connection."""

    def give_up(self, waits: WaitsFor) -> None:
        """End it: it has waited too long."""
        ...

    def make_room(self) -> None:
        """End it: another is let in."""
        ...


@dataclass(slots=True)
class AddressConnections:
    """The connections of one address, those that wait by what they wait for, the longest first."""

    name: str
    count: int = 0
    waiting: tuple[dict[BoundedConnection, float], ...] = field(
        default_factory=lambda: tuple({} for _ in WaitsFor)
    )

    def oldest(self, kinds: Iterable[WaitsFor]) -> BoundedConnection | None:
        """Whoever goes first when room is needed."""
        for kind in kinds:
            for connection in self.waiting[kind]:
                return connection
        return None


class Connections:
    """All connections of a server: lets them in, makes room for new ones, ends those that wait too long.

    A connection on which a request is being answered, such as an open stream, is never ended.
    """

    def __init__(self, limits: ConnectionLimits) -> None:
        self.limits = limits
        self._addresses: dict[str, AddressConnections] = {}
        self._held: dict[BoundedConnection, int] = {}
        self._held_bytes = 0
        self._count = 0
        self._sweeper: asyncio.TimerHandle | None = None
        #: By what a connection waits for.
        self._patience: Sequence[float] = (
            limits.linger_time, limits.head_time, limits.rest_time, limits.idle_time, limits.idle_time
        )  # fmt: skip

    def __len__(self) -> int:
        return self._count

    def enter(self, name: str) -> tuple[AddressConnections, bool]:
        """One more from this address; whether there was room, or could be made.

        Whoever calls it ends the connection if there was none, and calls :meth:`leave` in any case.
        """
        room = self._room_for(name)
        address = self._addresses.setdefault(name, AddressConnections(name))
        address.count += 1
        self._count += 1
        if self._sweeper is None:
            self._sweeper = asyncio.get_running_loop().call_later(_LOOK, self._sweep)
        return address, room

    def leave(self, connection: BoundedConnection, address: AddressConnections) -> None:
        """A connection has ended."""
        for waiting in address.waiting:
            waiting.pop(connection, None)
        self.hold(connection, 0)
        self._count -= 1
        address.count -= 1
        if not address.count:
            del self._addresses[address.name]

    def hold(self, connection: BoundedConnection, size: int) -> None:
        """So many bytes of an incomplete head are held for it; where all are too many, the oldest goes."""
        self._held_bytes += size - self._held.get(connection, 0)
        if size:
            self._held[connection] = size
        else:
            self._held.pop(connection, None)
        while self._held_bytes > self.limits.heads:
            next(iter(self._held)).make_room()

    def _room_for(self, name: str) -> bool:
        address = self._addresses.get(name)
        if address is not None and address.count >= self.limits.per_address:
            oldest = address.oldest(WaitsFor)
        elif self._count >= self.limits.connections:
            oldest = next(self._largest(), None)
        else:
            return True
        if oldest is None:
            return False
        oldest.make_room()
        return True

    def _largest(self) -> Iterator[BoundedConnection]:
        """Of the address with the most connections, the first to go, if there is one that may."""
        for address in sorted(self._addresses.values(), key=lambda each: -each.count):
            if (oldest := address.oldest(WaitsFor)) is not None:
                yield oldest

    def _sweep(self) -> None:
        loop = asyncio.get_running_loop()
        self._sweeper = loop.call_later(_LOOK, self._sweep) if self._count else None
        now = loop.time()
        for address in list(self._addresses.values()):
            for kind in WaitsFor:
                before = now - self._patience[kind]
                for connection in _older(address.waiting[kind], before):
                    connection.give_up(kind)


def _older(waiting: dict[BoundedConnection, float], before: float) -> list[BoundedConnection]:
    """Those that have waited since before then; the first to have begun stand first."""
    found = []
    for connection, since in waiting.items():
        if since > before:
            break
        found.append(connection)
    return found


def with_room(limits: ConnectionLimits) -> ConnectionLimits:
    """The same limits, with no more connections than the process may have files, which is raised first."""
    wanted = limits.connections + _OTHER_FILES
    soft, hard = (_number(files) for files in resource.getrlimit(resource.RLIMIT_NOFILE))
    if soft < (files := int(min(wanted, hard))):
        resource.setrlimit(resource.RLIMIT_NOFILE, (files, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
        soft = files
    if soft >= wanted:
        return limits
    return replace(limits, connections=max(int(soft) - _OTHER_FILES, 1))


def _number(files: int) -> float:
    return math.inf if files == resource.RLIM_INFINITY else files
