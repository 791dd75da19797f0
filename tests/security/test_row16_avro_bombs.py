"""ATTACKS 16: bytes that claim more than they hold are refused, quickly and in little memory."""

import time
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.events import any_event

from funcledger_schemas import codec, envelope, manifest
from funcledger_schemas.codec import DecodeError
from funcledger_schemas.compatibility import faults_of
from funcledger_schemas.events import Event
from funcledger_schemas.limits import RECORD_LIMIT

DATASCHEMAS = [entry.dataschema for entry in manifest.entries()]
PREFIX = b"\0\0\0\0\1"


def zigzag(number: int) -> bytes:
    """An Avro long."""
    bits, out = (number << 1) ^ (number >> 63), b""
    while bits > 0x7F:
        out, bits = out + bytes([bits & 0x7F | 0x80]), bits >> 7
    return out + bytes([bits])


@contextmanager
def frugal(megabytes: float, seconds: float) -> Iterator[None]:
    """Fails when the block takes more memory or time."""
    tracemalloc.start()
    begun = time.monotonic()
    try:
        yield
        took, peak = time.monotonic() - begun, tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < megabytes * 1e6
    assert took < seconds


def decodes(value: bytes, dataschema: str) -> Event | None:
    """The event, or None where it was refused as it must be; anything else is raised."""
    try:
        return codec.decode(value, dataschema)
    except DecodeError:
        return None


NULLS: dict[str, Any] = {"type": "record", "name": "Nulls", "doc": ".", "fields": [
    {"name": "nothing", "type": "null", "doc": "."},
]}  # fmt: skip


@pytest.mark.parametrize(
    "bomb",
    [
        {"type": "array", "items": "null"},
        {"type": "array", "items": NULLS},
        {"type": "array", "items": {"type": "fixed", "name": "Empty", "size": 0}},
        {"type": "array", "items": {"type": "array", "items": "null"}},
        {"type": "map", "values": "null"},
        ["null", {"type": "array", "items": "Thing"}],
    ],
    ids=str,
)
def test_row_16_a_schema_whose_items_take_no_bytes_is_never_released(bomb: Any) -> None:
    fields = [{"name": "bomb", "type": bomb, "doc": "A bomb."}]
    schema = {"type": "record", "name": "Thing", "doc": "A thing.", "fields": fields}
    assert any("so a few bytes" in fault for fault in faults_of([schema]))


@pytest.mark.parametrize("dataschema", DATASCHEMAS)
def test_row_16_the_nine_byte_bomb_is_refused_by_every_schema(dataschema: str) -> None:
    assert decodes(b"", dataschema) is None  # the schema itself is read once
    with frugal(megabytes=1, seconds=1):
        assert decodes(PREFIX + zigzag(2**50), dataschema) is None
        assert decodes(PREFIX + zigzag(-(2**50)) + zigzag(8), dataschema) is None


def test_row_16_a_schema_of_the_peer_s_own_is_refused() -> None:
    with pytest.raises(DecodeError, match="unknown schema"):
        codec.decode(PREFIX + zigzag(2**50), '{"type": "array", "items": "null"}')


def test_row_16_a_value_over_the_limit_is_refused_before_it_is_decoded() -> None:
    value = b"\0" * (RECORD_LIMIT + 1)
    with frugal(megabytes=1, seconds=0.1), pytest.raises(DecodeError, match="over the record limit"):
        codec.decode(value, DATASCHEMAS[0])


@given(any_event(), st.data())
@settings(max_examples=150)
def test_row_16_huge_lengths_anywhere_in_an_event_are_refused(event: Event, data: st.DataObject) -> None:
    sealed = envelope.seal(event)
    place = data.draw(st.integers(5, len(sealed.value)))
    length = data.draw(st.sampled_from([2**20, 2**31, 2**40, 2**62, -1, -(2**62)]))
    value = sealed.value[:place] + zigzag(length) + sealed.value[place:]
    with frugal(megabytes=1, seconds=0.2):
        decodes(value, envelope.dataschema_of(sealed.head) or "")


@given(st.sampled_from(DATASCHEMAS), st.binary(max_size=300))
@settings(max_examples=150)
def test_row_16_arbitrary_bytes_raise_nothing_but_decode_error(dataschema: str, body: bytes) -> None:
    decodes(body, dataschema)
    decodes(PREFIX + body, dataschema)


@given(any_event(), st.data())
@settings(max_examples=150)
def test_row_16_a_record_cut_short_anywhere_is_refused(event: Event, data: st.DataObject) -> None:
    sealed = envelope.seal(event)
    cut = sealed.value[: data.draw(st.integers(0, len(sealed.value) - 1))]
    with pytest.raises(DecodeError):
        envelope.unseal(sealed.head, cut)


@given(any_event(), st.binary(min_size=1, max_size=9))
def test_row_16_bytes_after_an_event_are_refused(event: Event, more: bytes) -> None:
    sealed = envelope.seal(event)
    with pytest.raises(DecodeError, match="follow the"):
        envelope.unseal(sealed.head, sealed.value + more)
