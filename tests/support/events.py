"""Arbitrary events for Hypothesis, of every class, in the ranges their schemas allow."""

from typing import Any, NamedTuple

from hypothesis import strategies as st

from funcledger_schemas import events, manifest
from funcledger_schemas.envelope import Headers, seal, spelled_out
from funcledger_schemas.events import Event

#: Instants that a datetime can hold with room to spare: 1970 to 2100, in microseconds.
INSTANTS = st.integers(0, 4_102_444_800_000_000)

_VALUES: dict[str, st.SearchStrategy[Any]] = {
    "boolean": st.booleans(),
    "int": st.integers(-(2**31), 2**31 - 1),
    "long": st.integers(-(2**63), 2**63 - 1),
    "double": st.floats(allow_nan=False),
    "string": st.text(max_size=20),
    "bytes": st.binary(max_size=50),
}


def event_classes() -> list[type[Event]]:
    """Every class of event there is."""
    return [getattr(events, name) for name in dict.fromkeys(entry.name for entry in manifest.entries())]


def events_of(kind: type[Event]) -> st.SearchStrategy[Event]:
    """Arbitrary events of one class."""
    fields = manifest.schema(manifest.latest(kind.__name__))["fields"]
    return st.builds(kind, **{field["name"]: _values(field["type"]) for field in fields})


def any_event() -> st.SearchStrategy[Event]:
    """Arbitrary events of any class."""
    return st.one_of([events_of(kind) for kind in event_classes()])


def _values(type_: Any) -> st.SearchStrategy[Any]:
    if isinstance(type_, list):
        return st.none() | _VALUES[type_[1]]
    return INSTANTS if isinstance(type_, dict) else _VALUES[type_]


class Written(NamedTuple):
    """An event as a record holds it, its headers written out."""

    topic: str
    key: bytes
    headers: Headers
    value: bytes


def written(event: Event, extra: Headers = ()) -> Written:
    topic, key, head, value = seal(event, extra)
    return Written(topic, key, spelled_out(head, event), value)
