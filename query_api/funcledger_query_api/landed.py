"""An outcome as the feed found it on the log."""

from dataclasses import dataclass

from funcledger_event_log.records import Position
from funcledger_read_models.documents import Key
from funcledger_schemas.events import TaskCancelled
from funcledger_schemas.lifecycle import Outcome

#: What an item counts for beside its payload and traceback, in bytes.
_BASE = 1024


@dataclass(slots=True, eq=False)
class Landed:
    """A task's outcome at its place in ``results``.

    ``first`` is None while the read models are being asked whether an earlier outcome stands.
    """

    key: Key
    partition: int
    offset: int
    #: Append time in milliseconds.
    timestamp: int
    event: Outcome
    first: bool | None

    @property
    def position(self) -> Position:
        """Where it stands."""
        return Position("results", self.partition, self.offset)

    @property
    def payload(self) -> bytes:
        """The value or the exception; empty where none travels."""
        return b"" if isinstance(self.event, TaskCancelled) else self.event.payload

    @property
    def size(self) -> int:
        """Bytes it holds, roughly."""
        traceback = getattr(self.event, "traceback", None) or ""
        return _BASE + len(self.payload) + len(traceback)
