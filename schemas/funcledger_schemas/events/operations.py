"""What operators look at: unreadable records, refused requests, checkpoints of the log, and erasures."""

from funcledger_schemas.events.base import Event
from funcledger_schemas.events.parts import RecordPosition, TreeHead


class RecordDeadLettered(Event, frozen=True, gc=False):
    """A consumer could not read a record; it is kept here and the consumer went on."""

    consumer: str
    topic: str
    partition: int
    offset: int
    reason: str
    size: int
    sha256: str
    head: bytes


class AccessRefused(Event, frozen=True, gc=False):
    """Somebody was refused something."""

    principal: str
    action: str
    resource: str
    reason: str
    by_token: str | None = None
    count: int = 1


class Checkpoint(Event, frozen=True, gc=False):
    """How far the log had grown, signed: from here on nothing before can be altered unseen."""

    trees: tuple[TreeHead, ...]


class PayloadErased(Event, frozen=True, gc=False):
    """The payload bytes of records were erased.

    Size and hash stay, and so does the records' proof.
    """

    records: tuple[RecordPosition, ...]
    reason: str
    subject: str | None = None
    by_token: str | None = None
