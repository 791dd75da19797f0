"""Arbitrary events for Hypothesis, of every class, in the ranges their schemas allow."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import msgspec
from hypothesis import strategies as st

from funcledger_schemas import events, manifest
from funcledger_schemas.envelope import Headers, seal, spelled_out
from funcledger_schemas.events import Event, parts

#: Instants that a datetime can hold with room to spare: 1970 to 2100, in microseconds.
INSTANTS = st.integers(0, 4_102_444_800_000_000)

_VALUES: dict[str, st.SearchStrategy[Any]] = {
    "boolean": st.booleans(),
    "int": st.integers(-(2**31), 2**31 - 1),
    "long": st.integers(-(2**63), 2**63 - 1),
    "double": st.floats(allow_nan=False),
    "string": st.text(max_size=20),
    "bytes": st.binary(max_size=50),
    "instant": INSTANTS,
}


def event_classes() -> list[type[Event]]:
    """Every class of event there is."""
    return [getattr(events, name) for name in dict.fromkeys(entry.name for entry in manifest.entries())]


def parts_of_events() -> set[str]:
    """The names of the records that stand within events."""
    return {name for name, kind in vars(parts).items() if isinstance(kind, type)}


def events_of(kind: type[Event]) -> st.SearchStrategy[Event]:
    """Arbitrary events of one class."""
    return built_of(kind, _VALUES)


def built_of(kind: type[Event], values: Mapping[str, st.SearchStrategy[Any]]) -> st.SearchStrategy[Event]:
    """Arbitrary events of one class, given the values of each primitive type; ``instant`` is one."""
    fields = manifest.schema(manifest.latest(kind.__name__))["fields"]
    return st.builds(kind, **{field["name"]: _values(field["type"], values) for field in fields})


def any_event() -> st.SearchStrategy[Event]:
    """Arbitrary events of any class."""
    return st.one_of([events_of(kind) for kind in event_classes()])


def _values(type_: Any, values: Mapping[str, st.SearchStrategy[Any]]) -> st.SearchStrategy[Any]:
    if isinstance(type_, list):
        return st.none() | _values(type_[1], values)
    if not isinstance(type_, dict):
        # The one record that a schema names a second time.
        return values[type_] if type_ in values else st.builds(events.TaskKey, *[values["string"]] * 3)
    if type_["type"] == "array":
        return st.lists(_values(type_["items"], values), max_size=3).map(tuple)
    if type_["type"] == "record":
        fields = {field["name"]: _values(field["type"], values) for field in type_["fields"]}
        return st.builds(getattr(events, type_["name"]), **fields)
    return values["instant"]


def plain_parts(value: Any) -> Any:
    """Lists and objects for what is a list or record within an event."""
    if isinstance(value, tuple):
        return [plain_parts(item) for item in value]
    if isinstance(value, msgspec.Struct):
        return {name: plain_parts(item) for name, item in msgspec.structs.asdict(value).items()}
    return value


class Written(NamedTuple):
    """An event as a record holds it, its headers written out."""

    topic: str
    key: bytes
    headers: Headers
    value: bytes


def written(event: Event, extra: Headers = ()) -> Written:
    topic, key, head, value = seal(event, extra)
    return Written(topic, key, spelled_out(head, event), value)
