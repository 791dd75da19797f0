"""A payload can be erased and its record stays provable: the leaf hash covers all but the bytes."""

import hashlib

import msgspec
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from tests.support.events import Written, any_event, event_classes, events_of, written

from funcledger_schemas import codec
from funcledger_schemas.codec import DecodeError
from funcledger_schemas.events import Event
from funcledger_schemas.proof import leaf_hash, without_payload

CARRIERS = [kind for kind in event_classes() if "payload" in kind.__struct_fields__]


def leaf(sealed: Written) -> bytes:
    return leaf_hash(sealed.key, sealed.headers, sealed.value)


def test_arguments_results_exceptions_and_functions_carry_payloads() -> None:
    names = {kind.__name__ for kind in CARRIERS}
    assert names == {"FunctionRegistered", "TaskSubmitted", "TaskCompleted", "TaskFailed"}


@given(st.one_of([events_of(kind) for kind in CARRIERS]), st.binary(max_size=300))
def test_erasing_or_changing_payload_bytes_leaves_the_leaf_hash(event: Event, other: bytes) -> None:
    changed = msgspec.structs.replace(event, payload=other)
    assert leaf(written(event)) == leaf(written(changed))
    assert leaf(written(event)) == leaf(written(without_payload(event)))


@given(any_event())
def test_an_erased_event_keeps_everything_but_the_bytes(event: Event) -> None:
    erased = without_payload(event)
    fields = msgspec.structs.asdict(event)
    assert msgspec.structs.asdict(erased) == fields | ({"payload": b""} if "payload" in fields else {})
    assert without_payload(erased) is erased


@given(any_event(), st.data())
def test_a_change_of_any_other_field_changes_the_leaf_hash(event: Event, data: st.DataObject) -> None:
    other = data.draw(events_of(type(event)))
    fields = sorted(set(type(event).__struct_fields__) - {"payload"})
    name = data.draw(st.sampled_from(fields))
    assume(repr(getattr(event, name)) != repr(getattr(other, name)))
    changed = msgspec.structs.replace(event, **{name: getattr(other, name)})
    headers = written(event).headers
    assert leaf_hash(b"k", headers, codec.encode(event)) != leaf_hash(b"k", headers, codec.encode(changed))


@given(any_event(), st.binary(min_size=1, max_size=5), st.data())
def test_a_change_of_key_or_headers_changes_the_leaf_hash(
    event: Event, more: bytes, data: st.DataObject
) -> None:
    sealed = written(event)
    place = data.draw(st.integers(0, len(sealed.headers) - 1))
    name, content = sealed.headers[place]
    assume(name != "ce_dataschema")
    before, after = sealed.headers[:place], sealed.headers[place + 1 :]
    leaves = {
        leaf(sealed),
        leaf(sealed._replace(key=sealed.key + more)),
        leaf(sealed._replace(headers=(*before, (name, content + more), *after))),
        leaf(sealed._replace(headers=(*before, (name + "x", content), *after))),
        leaf(sealed._replace(headers=(*before, *after))),
        leaf(sealed._replace(headers=(*sealed.headers, ("traceparent", more)))),
    }
    assert len(leaves) == 6


@given(any_event(), st.binary(min_size=4, max_size=4))
def test_the_schema_id_of_another_registry_leaves_the_leaf_hash(event: Event, foreign_id: bytes) -> None:
    sealed = written(event)
    assert leaf(sealed) == leaf(sealed._replace(value=b"\0" + foreign_id + sealed.value[5:]))


def test_bytes_do_not_slip_from_one_part_into_the_next() -> None:
    """Key, header names and contents are told apart, so no two different records share a leaf."""
    headers = (("ce_dataschema", b"urn:funcledger:schema:EndpointDeleted:1"),)
    value = bytes.fromhex("0000000008") + bytes(5)
    one = leaf_hash(b"ab", (*headers, ("c", b"d")), value)
    two = leaf_hash(b"a", (*headers, ("bc", b"d")), value)
    three = leaf_hash(b"ab", (*headers, ("cd", b"")), value)
    assert len({one, two, three}) == 3
    covered = b"".join(
        len(part).to_bytes(4, "big") + part
        for part in (b"ab", b"ce_dataschema", headers[0][1], b"c", b"d", bytes(5))
    )
    assert one == hashlib.sha256(b"\0" + (2).to_bytes(4, "big") + covered).digest()


def test_a_record_that_cannot_be_read_has_no_leaf() -> None:
    with pytest.raises(DecodeError):
        leaf_hash(b"", (), b"\0\0\0\0\x08")
