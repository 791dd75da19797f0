"""What a generated plan writes and reads is what fastavro does; what it does not, fastavro decides."""

import io
import random
import traceback
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from typing import Any

import fastavro
import msgspec
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from tests.support.events import any_event, built_of, event_classes, events_of, plain_parts

from funcledger_schemas import codec, events, manifest
from funcledger_schemas.codec import DecodeError
from funcledger_schemas.events import Event
from funcledger_schemas.plan import Plan, plan_of
from funcledger_schemas.plan_tools import Irregular

KINDS = event_classes()
#: Where a varint gets longer, and where a plan goes over from one way of writing it to another.
EDGES = sorted({sign * (2**bits + by) for sign in (1, -1) for bits in range(64) for by in (-1, 0, 1)})
LONGS = st.sampled_from([edge for edge in EDGES if -(2**63) <= edge < 2**63]) | st.integers(
    -(2**63), 2**63 - 1
)
TEXTS = st.text(max_size=40) | st.sampled_from([length * "a" for length in (63, 64, 1023, 1024, 8191, 8192)])


@cache
def schema_of(kind: type[Event]) -> Any:
    """The schema for fastavro, with instants as the integers they are."""
    return fastavro.parse_schema(_without_instants(manifest.schema(manifest.latest(kind.__name__))))


def _without_instants(schema: Any) -> Any:
    if isinstance(schema, dict):
        return {key: _without_instants(value) for key, value in schema.items() if key != "logicalType"}
    return [_without_instants(item) for item in schema] if isinstance(schema, list) else schema


#: Events that hold a list, never null: they are rare, and fastavro alone does for them.
UNPLANNED = {"Checkpoint", "PayloadErased", "TaskReleased", "TaskStreamed", "TokenCreated"}


def plan_for(kind: type[Event]) -> Plan:
    """The plan in use."""
    plan = codec._written(kind).plan
    assert plan is not None
    return plan


def by_fastavro(event: Event) -> bytes:
    """The event's value as fastavro writes it."""
    out = io.BytesIO()
    out.write(b"\0" + manifest.latest(type(event).__name__).id.to_bytes(4, "big"))
    fields = {name: plain_parts(value) for name, value in msgspec.structs.asdict(event).items()}
    fastavro.schemaless_writer(out, schema_of(type(event)), fields)
    return out.getvalue()


def read_by_fastavro(kind: type[Event], value: bytes) -> Event | None:
    """The event in a value, None where fastavro refuses it or leaves bytes over."""
    body = io.BytesIO(value[5:])
    try:
        fields: Any = fastavro.schemaless_reader(body, schema_of(kind), None)
    except Exception:  # it raises whatever the bytes lead it into
        return None
    return None if body.read(1) else codec.made(kind, fields)


def same(one: Event | None, other: Event | None) -> bool:
    """Whether they are equal, and their numbers of one type; NaN equals itself."""
    return repr(one) == repr(other)


def assert_read_alike(kind: type[Event], value: bytes) -> None:
    """The plan reads what fastavro does or nothing; the codec reads or refuses just as fastavro does."""
    expected = read_by_fastavro(kind, value)
    read: Event | None = None
    with suppress(Exception):
        read = plan_for(kind).read(value) if kind.__name__ not in UNPLANNED else None
    assert read is None or same(read, expected)
    decoded: Event | None = None
    with suppress(DecodeError):
        decoded = codec.decode(value, manifest.latest(kind.__name__).dataschema)
    assert same(decoded, expected)


def at_the_edges(kind: type[Event]) -> st.SearchStrategy[Event]:
    """Events whose numbers and texts are of every length on the wire."""
    values: dict[str, st.SearchStrategy[Any]] = {
        "string": TEXTS,
        "bytes": st.binary(max_size=80) | st.sampled_from([b"x" * 8192, b"x" * 70_000]),
        "boolean": st.booleans(),
        "int": st.integers(-(2**31), 2**31 - 1),
        "long": LONGS,
        "double": st.floats(),
        "instant": LONGS,
    }
    return built_of(kind, values)


def test_every_event_has_a_plan_but_those_that_hold_a_list() -> None:
    assert {kind.__name__ for kind in KINDS if codec._written(kind).plan is None} == UNPLANNED


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_every_event_is_written_and_read_as_by_fastavro(kind: type[Event]) -> None:
    @given(at_the_edges(kind))
    @settings(max_examples=100)
    def alike(event: Event) -> None:
        value = by_fastavro(event)
        assert codec.encode(event) == value
        # Texts beyond the look-up of lengths, and lists, are left to fastavro.
        with suppress(IndexError, Irregular):
            assert kind.__name__ in UNPLANNED or plan_for(kind).write(event) == value
        assert same(codec.decode(value, manifest.latest(kind.__name__).dataschema), event)
        assert_read_alike(kind, value)

    alike()


def _in_ten_bytes(event: Event) -> bool:
    numbers = (value for value in msgspec.structs.astuple(event) if isinstance(value, int))
    return any(not -(2**62) <= number < 2**62 for number in numbers)


#: Of what is rarely there, null alone is for a plan.
LISTS_AND_RECORDS = (
    "accepted_formats", "labels", "dependencies", "alternatives", "rerun_of", "reused_from", "output",
)  # fmt: skip


@given(events_of(events.TaskSubmitted) | events_of(events.TaskCompleted))
def test_the_events_a_busy_log_is_full_of_never_leave_their_plan(event: Event) -> None:
    event = msgspec.structs.replace(event, payload_size=len(getattr(event, "payload")))  # noqa: B009
    held = {name: None for name in LISTS_AND_RECORDS if name in event.__struct_fields__}
    event = msgspec.structs.replace(event, **held)
    assume(not _in_ten_bytes(event))
    plan = plan_for(type(event))
    assert plan.read(plan.write(event)) == event


@given(any_event(), st.data())
@settings(max_examples=300)
def test_row_16_bytes_changed_anywhere_are_read_or_refused_as_by_fastavro(
    event: Event, data: st.DataObject
) -> None:
    value = bytearray(codec.encode(event))
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.integers(5, len(value)))
        removed = data.draw(st.integers(0, 3))
        value[place : place + removed] = data.draw(st.binary(max_size=11))
    assert_read_alike(type(event), bytes(value))


def _bent(value: bytes, chance: random.Random) -> Iterator[bytes]:
    """The value with what an attacker would try at one place of it."""
    place = chance.randrange(5, len(value))
    before, byte, after = value[:place], value[place], value[place + 1 :]
    yield before  # cut short
    yield value + bytes([byte])  # bytes left over
    yield before + bytes([byte | 128, 0]) + after  # not the shortest way to say it
    yield before + bytes([byte | 128]) + b"\x80" * 9 + b"\1" + after  # longer than any number is
    yield before + bytes([byte | 128]) + b"\xff" * 8 + b"\1" + after  # the largest lengths
    yield before + bytes([byte ^ 1]) + after  # a negative length, the branch -1, another truth
    yield before + bytes([chance.choice((4, 6, 127))]) + after  # branches and truths that there are not
    yield before + b"\xc0\x80" + after  # no UTF-8
    yield before + b"\xed\xa0\x80" + after  # half of a surrogate pair
    yield before + bytes([chance.randrange(256)]) + after


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_row_16_what_an_attacker_would_try_is_read_or_refused_as_by_fastavro(kind: type[Event]) -> None:
    chance = random.Random(kind.__name__)

    @given(events_of(kind))
    @settings(max_examples=15)
    def alike(event: Event) -> None:
        for _ in range(20):
            for value in _bent(codec.encode(event), chance):
                assert_read_alike(kind, value)

    alike()


#: By type, what it does not take or takes only with fastavro's leave.
STRANGE: list[Any] = [
    None,
    True,
    3,
    3.0,
    3.5,
    -1,
    2**63,
    -(2**63) - 1,
    2**1100,
    "3",
    "\ud800",
    b"3",
    [],
    object(),
]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_values_of_no_or_another_type_are_written_or_refused_as_by_fastavro(kind: type[Event]) -> None:
    @given(events_of(kind))
    @settings(max_examples=3)
    def alike(event: Event) -> None:
        for field in schema_of(kind)["fields"]:
            for value in STRANGE:
                if value is True and field["type"] == ["null", "double"]:
                    continue  # fastavro takes a truth for a double, but not where null might stand too
                if "array" in str(field["type"]) or "record" in str(field["type"]):
                    continue  # what is no list of texts, fastavro refuses in more ways than one
                strange = msgspec.structs.replace(event, **{field["name"]: value})
                assert _told(codec.encode, strange) == _told(by_fastavro, strange)

    alike()


def _told(encode: Any, event: Event) -> bytes | type[Exception]:
    try:
        return bytes(encode(event))
    except Exception as error:
        return type(error)


def test_a_schema_that_holds_more_than_plans_cover_has_none() -> None:
    entry = manifest.latest("EndpointDeleted")
    fields = manifest.schema(entry)["fields"]
    for type_ in (
        {"type": "array", "items": "string"},
        ["null", "long", "string"],
        ["string", "null"],
        "float",
    ):
        assert plan_of(events.EndpointDeleted, [*fields[:-1], fields[-1] | {"type": type_}], b"") is None
    assert plan_of(events.EndpointDeleted, fields[1:], b"") is None
    assert plan_of(events.EndpointDeleted, fields, b"") is not None


@given(events_of(events.TaskCompleted) | events_of(events.EndpointRegistered))
def test_an_older_schema_has_a_plan_too_and_new_fields_get_their_defaults(event: Event) -> None:
    entry = manifest.entries()[15 if isinstance(event, events.TaskCompleted) else 4]
    names = [field["name"] for field in manifest.schema(entry)["fields"]]
    fields = {name: getattr(event, name) for name in names}
    out = io.BytesIO()
    schema = fastavro.parse_schema(_without_instants(manifest.schema(entry)))
    fastavro.schemaless_writer(out, schema, fields)
    plan = codec._schema(entry.dataschema).plan
    assert plan is not None
    assert same(codec.decode(bytes(5) + out.getvalue(), entry.dataschema), type(event)(**fields))


def test_a_traceback_shows_the_line_of_a_generated_plan() -> None:
    event = events.EndpointDeleted(event_id="a", occurred_at=1, actor="b", endpoint_id="c", owner="d")
    with pytest.raises(AttributeError) as caught:
        plan_for(events.EndpointDeleted).write(msgspec.structs.replace(event, owner=7))
    assert "owner = owner.encode()" in "".join(traceback.format_exception(caught.value))
