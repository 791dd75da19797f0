"""What operators look at: records nobody could read, and requests that were refused."""

from funcledger_schemas.events.base import Event


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
