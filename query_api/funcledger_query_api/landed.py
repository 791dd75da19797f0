"""An outcome as the feed found it on the log."""

import msgspec

from funcledger_event_log.records import TopicPartition
from funcledger_read_models.documents import Key
from funcledger_schemas.events import TaskCancelled, TaskFailed
from funcledger_schemas.lifecycle import Outcome

#: What an item counts for beside its payload and traceback, in bytes.
_BASE = 1024


class Landed(msgspec.Struct, gc=False, eq=False):
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
    #: The value or the exception; empty where none travels.
    payload: bytes = b""
    #: Bytes it holds, roughly.
    size: int = _BASE

    def __post_init__(self) -> None:
        event = self.event
        if not isinstance(event, TaskCancelled):
            self.payload = event.payload
            self.size += len(event.payload)
        if isinstance(event, TaskFailed):
            self.size += len(event.traceback or "")

    @property
    def where(self) -> TopicPartition:
        """The partition it stands in."""
        return TopicPartition("results", self.partition)
