"""An outcome as the feed found it on the log."""

import msgspec

from funcledger_event_log.records import TopicPartition
from funcledger_read_models.documents import Key
from funcledger_schemas.events import TaskCancelled, TaskFailed
from funcledger_schemas.failures import opened
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
    #: Whether the feed itself has read the submission that it names.
    submitted: bool = True
    #: The value or the exception; empty where none travels.
    payload: bytes = b""
    #: Bytes it holds, roughly.
    size: int = _BASE

    def __post_init__(self) -> None:
        if isinstance(self.event, TaskFailed):
            self.event = opened(self.event)
            self.size += len(self.event.traceback or "")
        if not isinstance(self.event, TaskCancelled):
            self.payload = self.event.payload
            self.size += len(self.payload)

    @property
    def where(self) -> TopicPartition:
        """The partition it stands in."""
        return TopicPartition("results", self.partition)
