"""Records whose payload was left out, for readers that need the facts and not yet the bytes."""

import msgspec

from funcledger_event_log.records import Record
from funcledger_schemas import codec
from funcledger_schemas.events import TaskSubmitted

#: Values up to this many bytes always come whole: leaving out the payload would save next to nothing.
WHOLE_BELOW = 1024
#: Whole records are read so many at a time, so that no more than so many payloads are held at once.
AT_ONCE = 16


def stub(record: Record) -> Record:
    """The record with the same event but an empty payload; itself when that would save nothing.

    ``len(event.payload) != event.payload_size`` tells a stub. What cannot be decoded is left as it is.
    """
    if len(record.value) <= WHOLE_BELOW:
        return record
    event = record.event_if_readable()
    if event is None or not getattr(event, "payload", b""):
        return record
    bare = msgspec.structs.replace(event, payload=b"")
    return msgspec.structs.replace(record, value=codec.encode(bare), decoded=bare)


class Credit:
    """How many submissions, and bytes of them, still come whole to one follower of tasks."""

    def __init__(self, submissions: int, size: int) -> None:
        self.submissions = submissions
        self.bytes = size

    def take(self, record: Record) -> bool:
        """Whether the record comes whole, which uses up credit; only submissions need any."""
        if record.type != TaskSubmitted.__name__:
            return True
        if self.submissions <= 0 or self.bytes <= 0:
            return False
        self.submissions -= 1
        self.bytes = max(0, self.bytes - len(record.value))
        return True
