"""An event as it stands on the log: key, CloudEvents headers (Kafka binding) and value."""

from collections.abc import Callable
from datetime import UTC, datetime
from functools import cache, lru_cache
from operator import attrgetter
from typing import NamedTuple
from urllib.parse import quote

from funcledger_schemas import codec, manifest
from funcledger_schemas.events import Event, TaskEvent

#: Header names and values, in the order they are written.
Headers = tuple[tuple[str, bytes], ...]


class Brief(NamedTuple):
    """Stands for the headers that follow from a record's event, until somebody asks for them.

    Nine of ten records are read by those who want the event, and most headers only repeat it. What does not
    follow: the schema that the value was written with, and headers the event knows nothing of.
    """

    dataschema: str
    extra: Headers = ()


#: A record's headers, written out or not.
Head = Headers | Brief

TYPE_PREFIX = manifest.NAMESPACE
TOPICS = (
    "functions", "endpoints", "access", "tasks", "results", "streams", "heartbeats", "dead_letters", "audit",
)  # fmt: skip
#: Topics whose partition is the endpoint's own; the others have one partition, so one order.
BY_ENDPOINT = frozenset({"tasks", "results", "streams", "heartbeats"})

#: What an event is about, the first of these that it has.
_SUBJECTS = (
    "task_id", "function_id", "endpoint_id", "person_id", "group_id", "token_id", "batch_id", "event_id",
)  # fmt: skip

_SPECVERSION = ("ce_specversion", b"1.0")
_CONTENT_TYPE = ("content-type", b"application/avro")
_YEAR_1, _YEAR_9999 = -62_135_596_800, 253_402_300_799


class Sealed(NamedTuple):
    """What a record holds of an event."""

    topic: str
    key: bytes
    head: Brief
    value: bytes


class _Kind(NamedTuple):
    """What all events of one class share: where they go, which fields name them, their constant headers."""

    topic: str
    subject: Callable[[Event], str]
    key: Callable[[Event], str]
    type: tuple[str, bytes]
    head: Brief


@cache
def _of(kind: type[Event]) -> _Kind:
    entry = manifest.latest(kind.__name__)
    fields = kind.__struct_fields__
    subject = next(name for name in _SUBJECTS if name in fields)
    return _Kind(
        entry.topic,
        attrgetter(subject),
        attrgetter("endpoint_id" if "endpoint_id" in fields else subject),
        ("ce_type", (TYPE_PREFIX + kind.__name__).encode()),
        Brief(entry.dataschema),
    )


def topic_of(kind: type[Event]) -> str:
    """The topic that events of this class go to."""
    return _of(kind).topic


@lru_cache(maxsize=1024)
def _second(seconds: int) -> bytes:
    """RFC 3339 down to the second; what lies outside the calendar stands at its edge."""
    return datetime.fromtimestamp(min(max(seconds, _YEAR_1), _YEAR_9999), UTC).isoformat()[:19].encode()


def _time(micros: int) -> bytes:
    seconds, fraction = divmod(micros, 1_000_000)
    return b"%b.%06d+00:00" % (_second(seconds), fraction)


@lru_cache(maxsize=1024)
def _source(actor: str) -> bytes:
    """The actor as a URI reference: ``user:ann`` is ``/user/ann``."""
    return ("/" + quote(actor.replace(":", "/", 1), safe="/:@")).encode()


def seal(event: Event, extra: Headers = (), value: bytes | None = None) -> Sealed:
    """Key, headers and value of the event's record; ``extra`` may carry a ``traceparent``.

    ``value`` is the event as :func:`codec.encode` writes it, where that is at hand already.
    """
    kind = _of(type(event))
    head = Brief(kind.head.dataschema, extra) if extra else kind.head
    return Sealed(kind.topic, _key(kind.key(event)), head, codec.encode(event) if value is None else value)


@lru_cache(maxsize=1024)
def _key(text: str) -> bytes:
    return text.encode()


def spelled_out(brief: Brief, event: Event | None) -> Headers:
    """The headers that a brief stands for, of the event that its record's value decodes to.

    None for the event leaves those out that only it could tell. For ever the same: hashes cover them.
    """
    dataschema = ("ce_dataschema", brief.dataschema.encode())
    if event is None:
        name = (TYPE_PREFIX + event_of(brief.dataschema)).encode()
        return (_SPECVERSION, ("ce_type", name), dataschema, _CONTENT_TYPE, *brief.extra)
    kind = _of(type(event))
    headers: Headers = (
        _SPECVERSION,
        ("ce_id", event.event_id.encode()),
        kind.type,
        ("ce_source", _source(event.actor)),
        ("ce_time", _time(event.occurred_at)),
        ("ce_subject", kind.subject(event).encode()),
        dataschema,
        _CONTENT_TYPE,
    )
    if isinstance(event, TaskEvent):
        headers += (("ce_owner", event.owner.encode()), ("ce_batch", event.batch_id.encode()))
    return headers + brief.extra


@lru_cache(maxsize=1024)
def event_of(dataschema: str) -> str:
    """The event's name in a ``ce_dataschema``."""
    return dataschema.removeprefix(manifest.URN).partition(":")[0]


def header(headers: Headers, name: str) -> str | None:
    """The value of a header as text, None when there is none or it is not text."""
    for key, value in headers:
        if key == name:
            try:
                return value.decode()
            except UnicodeDecodeError:
                return None
    return None


def type_of(head: Head) -> str | None:
    """The event's class name, read from the headers alone."""
    if isinstance(head, Brief):
        return event_of(head.dataschema)
    for name, value in head:
        if name == "ce_type":
            return _event_named(value)
    return None


@lru_cache(maxsize=1024)
def _event_named(value: bytes) -> str | None:
    name = value.decode(errors="replace")
    return name.removeprefix(TYPE_PREFIX) if name.startswith(TYPE_PREFIX) else None


def dataschema_of(head: Head) -> str | None:
    """The schema that the value was written with, None where the headers name none."""
    return head.dataschema if isinstance(head, Brief) else header(head, "ce_dataschema")


def extra_of(head: Head) -> Headers:
    """The headers among which those are that do not follow from the event."""
    return head.extra if isinstance(head, Brief) else head


def unseal(head: Head, value: bytes) -> Event:
    """The event of a record.

    Raises:
        DecodeError: no schema is named, or the value is not of it.
    """
    dataschema = dataschema_of(head)
    if dataschema is None:
        raise codec.DecodeError("the record names no schema (header ce_dataschema)")
    return codec.decode(value, dataschema)
