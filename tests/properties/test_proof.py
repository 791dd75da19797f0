"""A payload can be erased and its record stays provable: its entry covers all but the bytes."""

import hashlib

import msgspec
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from tests.support.events import Written, any_event, event_classes, events_of, written

from funcledger_schemas.codec import DecodeError
from funcledger_schemas.envelope import seal
from funcledger_schemas.events import Event
from funcledger_schemas.proof import entry, leaf_hash, without_payload

CARRIERS = [kind for kind in event_classes() if "payload" in kind.__struct_fields__]


def entry_of(sealed: Written) -> bytes:
    return entry(sealed.key, sealed.headers, sealed.value)


def test_what_people_say_of_themselves_and_what_their_code_says_is_payload() -> None:
    names = {kind.__name__ for kind in CARRIERS}
    assert names == {
        "FunctionRegistered", "TaskSubmitted", "TaskCompleted", "TaskFailed",
        "EndpointEnvironment", "PersonDescribed", "TaskStreamed",
    }  # fmt: skip


@given(st.one_of([events_of(kind) for kind in CARRIERS]), st.binary(max_size=300))
def test_erasing_or_changing_payload_bytes_leaves_the_entry(event: Event, other: bytes) -> None:
    changed = msgspec.structs.replace(event, payload=other)
    assert entry_of(written(event)) == entry_of(written(changed))
    assert entry_of(written(event)) == entry_of(written(without_payload(event)))


@given(any_event())
def test_an_erased_event_keeps_everything_but_the_bytes(event: Event) -> None:
    erased = without_payload(event)
    fields = msgspec.structs.asdict(event)
    assert msgspec.structs.asdict(erased) == fields | ({"payload": b""} if "payload" in fields else {})
    assert without_payload(erased) is erased


@given(any_event(), st.data())
def test_a_change_of_any_other_field_changes_the_entry(event: Event, data: st.DataObject) -> None:
    other = data.draw(events_of(type(event)))
    fields = sorted(set(type(event).__struct_fields__) - {"payload"})
    name = data.draw(st.sampled_from(fields))
    assume(repr(getattr(event, name)) != repr(getattr(other, name)))
    changed = msgspec.structs.replace(event, **{name: getattr(other, name)})
    one, two = seal(event), seal(changed)
    assert entry(b"k", one.head, one.value) != entry(b"k", two.head, two.value)


@given(any_event(), st.binary(max_size=20))
def test_headers_that_follow_from_the_event_change_nothing_whether_stored_or_not(
    event: Event, trace: bytes
) -> None:
    for extra in ((), (("traceparent", trace),)):
        stored, implied = written(event, extra), seal(event, extra)
        assert entry_of(stored) == entry(implied.key, implied.head, implied.value)


@given(any_event(), st.binary(min_size=1, max_size=5), st.data())
def test_a_change_of_key_or_headers_changes_the_entry(event: Event, more: bytes, data: st.DataObject) -> None:
    sealed = written(event)
    place = data.draw(st.integers(0, len(sealed.headers) - 1))
    name, content = sealed.headers[place]
    assume(name != "ce_dataschema")
    before, after = sealed.headers[:place], sealed.headers[place + 1 :]
    entries = {
        entry_of(sealed),
        entry_of(sealed._replace(key=sealed.key + more)),
        entry_of(sealed._replace(headers=(*before, (name, content + more), *after))),
        entry_of(sealed._replace(headers=(*before, (name + "x", content), *after))),
        entry_of(sealed._replace(headers=(*before, *after))),
        entry_of(sealed._replace(headers=(*sealed.headers, ("traceparent", more)))),
    }
    assert len(entries) == 6


@given(any_event(), st.binary(min_size=4, max_size=4))
def test_the_schema_id_of_another_registry_leaves_the_entry(event: Event, foreign_id: bytes) -> None:
    sealed = written(event)
    assert entry_of(sealed) == entry_of(sealed._replace(value=b"\0" + foreign_id + sealed.value[5:]))


def test_bytes_do_not_slip_from_one_part_into_the_next() -> None:
    """Key, header names and contents are told apart, so no two different records share an entry."""
    headers = (("ce_dataschema", b"urn:funcledger:schema:EndpointDeleted:1"),)
    value = bytes.fromhex("0000000008") + bytes(5)
    one = entry(b"ab", (*headers, ("c", b"d")), value)
    two = entry(b"a", (*headers, ("bc", b"d")), value)
    three = entry(b"ab", (*headers, ("cd", b"")), value)
    assert len({one, two, three}) == 3
    covered = b"".join(
        len(part).to_bytes(4, "big") + part
        for part in (b"ab", headers[0][1], b"ce_dataschema", headers[0][1], b"c", b"d", bytes(5))
    )
    assert one == hashlib.sha256((2).to_bytes(4, "big") + covered).digest()


def test_a_leaf_is_that_of_rfc_6962() -> None:
    assert leaf_hash(b"") == bytes.fromhex("6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d")


def test_a_record_that_nobody_can_read_has_an_entry_too_since_a_tree_covers_every_record() -> None:
    headers = (("ce_dataschema", b"urn:funcledger:schema:EndpointDeleted:1"),)
    poisons = [(headers, b"\0\0\0\0\x08"), (headers, b"\0\0\0\0\x08\x01"), ((), b""), ((("a", b"b"),), b"")]
    assert len({entry(b"", head, value) for head, value in poisons}) == 4


def test_a_record_of_a_newer_schema_is_left_to_those_who_know_where_its_payload_begins() -> None:
    with pytest.raises(DecodeError, match="unknown schema"):
        entry(b"", (("ce_dataschema", b"urn:funcledger:schema:TaskCompleted:99"),), b"\0\0\0\0\x63")
