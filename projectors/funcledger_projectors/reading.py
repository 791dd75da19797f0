"""From records to entries; what cannot be read is set aside (law 11)."""

from collections.abc import Callable, Iterable
from functools import cache
from operator import attrgetter
from typing import NamedTuple

from funcledger_event_log.records import DecodeError, Record
from funcledger_projectors.fold import Entry
from funcledger_read_models.documents import Key
from funcledger_schemas.envelope import topic_of
from funcledger_schemas.events import Event, TaskEvent


class Poison(NamedTuple):
    """A record that no fold can take, and why."""

    record: Record
    reason: str


class _Place(NamedTuple):
    """Where events of a class belong: their topic, their record's key, and their key in folds."""

    topic: str
    record_key: Callable[[Event], str]
    key: Callable[[Event], Key]


def read(records: Iterable[Record]) -> tuple[list[Entry[Event]], list[Poison]]:
    """The entries of these records, in order, and those that cannot be read."""
    entries: list[Entry[Event]] = []
    poison: list[Poison] = []
    for record in records:
        try:
            event = record.event()
            place = _place(type(event))
            _check(record, event, place)
        except DecodeError as error:
            poison.append(Poison(record, str(error)))
        else:
            key = place.key(event)
            entries.append(Entry(record.topic, record.partition, record.offset, record.timestamp, event, key))
    return entries, poison


def _check(record: Record, event: Event, place: _Place) -> None:
    if record.topic != place.topic:
        raise DecodeError(f"a {type(event).__name__} does not belong on {record.topic!r}")
    if record.key != place.record_key(event).encode():
        raise DecodeError(f"the key {record.key!r} is not that of the {type(event).__name__} in it")


@cache
def _place(kind: type[Event]) -> _Place:
    topic = topic_of(kind)
    if issubclass(kind, TaskEvent):
        return _Place(topic, attrgetter("endpoint_id"), attrgetter("owner", "task_id", "endpoint_id"))
    fields = kind.__struct_fields__
    name = next(name for name in ("endpoint_id", "function_id", "event_id") if name in fields)
    key = attrgetter(name)
    return _Place(topic, key, lambda event: (key(event),))
