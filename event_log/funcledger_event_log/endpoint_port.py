"""The narrow port ``EndpointLog``: all that an agent sees of the log."""

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from typing import Protocol

from funcledger_event_log.port import Committed, LogError
from funcledger_event_log.records import Record
from funcledger_schemas.events import Event

#: Stands for the offset of an event that the log does not take, now or later.
REFUSED = -1


class Fenced(LogError):
    """Raised when a newer agent has taken over the endpoint (law 7); this one must stop."""


class CredentialRefused(LogError):
    """Raised when the endpoint's credential is not, or no longer, accepted."""


@dataclass(slots=True, frozen=True)
class Identity:
    """What the log knows of the endpoint a credential belongs to."""

    endpoint_id: str
    name: str
    owner: str
    partition: int


class EndpointLog(Protocol):
    """An agent's view of the log: its own tasks, its own results, nothing of anybody else's.

    Laws: records of other endpoints that share the partition are skipped; :meth:`append` is
    durable when it returns (law 1), keeps the order given, and refuses an older epoch (law 7).
    """

    async def identify(self) -> Identity:
        """Who this credential speaks for.

        Raises:
            CredentialRefused: it opens nothing.
        """
        ...

    def follow_tasks(self, start: int, *, credit: int, credit_bytes: int) -> AsyncGenerator[list[Record]]:
        """This endpoint's records of ``tasks`` from an offset on, then new ones, without end.

        After ``credit`` submissions or ``credit_bytes`` of their values, submissions come as stubs: the
        same event with an empty payload (``len(payload) != payload_size`` tells), to be fetched with
        :meth:`fetch` when their turn comes. So cancels are seen however long the backlog is. An empty
        batch is a sign of life.
        """
        ...

    async def fetch(self, offsets: Sequence[int]) -> list[Record]:
        """Whole records of ``tasks`` at these offsets, in order; those that are not ours are left out."""
        ...

    def read_results(self, start: int, end: int) -> AsyncGenerator[list[Record]]:
        """This endpoint's records of ``results`` in [start, end), in batches; payloads may be left empty."""
        ...

    async def ends(self) -> tuple[int, int]:
        """The present ends of the endpoint's partitions of ``tasks`` and ``results``."""
        ...

    async def append(self, events: Sequence[Event]) -> list[int]:
        """Append this endpoint's events to ``results`` or ``heartbeats``; offsets in the order given.

        An event about a task that was not submitted to this endpoint, by that owner and in that batch, is
        refused by itself, and so is an outcome of one that has its outcome: ``REFUSED`` stands for it.

        Returns once durable and once it is certain that no newer agent had taken over before them.

        An EndpointStarted sent again by the same instance answers the offset of the copy that counts.

        Raises:
            CredentialRefused: an event that is not this endpoint's to say.
            Fenced: a newer agent has taken over; what was appended is void.
            LogUnavailable, OutcomeUnknown: try again with the same events.
        """
        ...

    async def commit(self, offset: int, metadata: str) -> None:
        """Keep the agent's position in ``tasks``, with metadata of its own (under 4,096 bytes)."""
        ...

    async def committed(self) -> Committed | None:
        """The position kept last."""
        ...

    async def function(self, content_hash: str, offset: int) -> bytes:
        """The payload of a function, by its SHA-256; ``offset`` is that of a task of ours that calls it.

        Raises:
            LookupError: no task of this endpoint at that offset calls it.
        """
        ...

    async def close(self) -> None:
        """Let go of every connection."""
        ...
