"""Events become bytes and come back, and others read our bytes as we do."""

import io
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

import avro.io
import avro.schema
import fastavro
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.events import any_event, event_classes, events_of, plain_parts

from funcledger_schemas import codec, envelope, events, manifest
from funcledger_schemas.compatibility import faults_of
from funcledger_schemas.events import Event


@pytest.mark.parametrize("kind", event_classes(), ids=lambda kind: kind.__name__)
def test_any_event_comes_back_from_its_bytes(kind: type[Event]) -> None:
    @given(events_of(kind))
    @settings(max_examples=25)
    def comes_back(event: Event) -> None:
        sealed = envelope.seal(event)
        assert envelope.unseal(sealed.head, sealed.value) == event

    comes_back()


def _as_others_see_it(event: Event) -> dict[str, Any]:
    """The event's fields with instants as datetimes, as the logical type in the .avsc says."""
    fields = plain_parts(event)
    instants = {"occurred_at": fields["occurred_at"], "expires_at": fields.get("expires_at")}
    start = datetime(1970, 1, 1, tzinfo=UTC)
    at = {
        name: start + timedelta(microseconds=micros)
        for name, micros in instants.items()
        if micros is not None
    }
    return dict(fields) | at


def _of_id(value: bytes) -> manifest.Entry:
    """The manifest's entry for the id on the wire, as a Confluent deserializer finds it."""
    assert value[0] == 0
    return manifest.entries()[int.from_bytes(value[1:5], "big") - 1]


@cache
def _apache(entry: manifest.Entry) -> avro.io.DatumReader:
    return avro.io.DatumReader(avro.schema.parse(manifest.schema_text(entry)))


@given(any_event())
@settings(max_examples=150)
def test_the_apache_decoder_reads_our_bytes_by_the_id_on_the_wire(event: Event) -> None:
    value = codec.encode(event)
    body = io.BytesIO(value[5:])
    fields = _apache(_of_id(value)).read(avro.io.BinaryDecoder(body))
    assert fields == _as_others_see_it(event)
    assert not body.read()


@given(any_event())
@settings(max_examples=150)
def test_fastavro_reads_our_bytes_with_the_schema_as_published(event: Event) -> None:
    value = codec.encode(event)
    entry = _of_id(value)
    schema = fastavro.parse_schema(json.loads(manifest.schema_text(entry)))
    assert fastavro.schemaless_reader(io.BytesIO(value[5:]), schema, None) == _as_others_see_it(event)


@given(any_event(), st.binary(min_size=4, max_size=4))
def test_our_readers_go_by_dataschema_whatever_registry_wrote_the_id(event: Event, foreign_id: bytes) -> None:
    sealed = envelope.seal(event)
    assert envelope.unseal(sealed.head, b"\0" + foreign_id + sealed.value[5:]) == event


class EndpointStoppedLater(events.EndpointStopped, frozen=True, kw_only=True):
    """A version 2 of an event, as a later release may have it."""

    why: str | None = None


@pytest.fixture
def _a_later_release(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    first = manifest.latest("EndpointStopped")
    second = first._replace(id=len(manifest.entries()) + 1, version=2)
    field = {"name": "why", "type": ["null", "string"], "default": None, "doc": "Why."}
    released = manifest.schema(first)
    schemas = {first: released, second: released | {"fields": [*released["fields"], field]}}
    assert faults_of(list(schemas.values())) == []
    monkeypatch.setattr(manifest, "latest", lambda name: second)
    monkeypatch.setattr(manifest, "schema", schemas.__getitem__)
    monkeypatch.setattr(events, "EndpointStopped", EndpointStoppedLater)
    codec._schema.cache_clear()
    yield
    codec._schema.cache_clear()


@pytest.mark.usefixtures("_a_later_release")
def test_a_later_release_reads_an_older_record_as_its_own_class() -> None:
    value = bytes.fromhex("000000000d") + bytes([2, 65, 0, 2, 66, 2, 67, 2, 68, 2, 69, 0])
    read = codec.decode(value, "urn:funcledger:schema:EndpointStopped:1")
    assert read == EndpointStoppedLater("A", 0, "B", "C", "D", "E", None, why=None)


CARRIERS = [kind for kind in event_classes() if "payload" in kind.__struct_fields__]


@given(st.one_of([events_of(kind) for kind in CARRIERS]), st.integers(0, 70_000), st.integers(0, 200))
def test_an_event_is_read_by_the_beginning_of_its_value(event: Event, size: int, beyond: int) -> None:
    """All but the payload, and only where that is as long as the event says it is."""
    event = msgspec.structs.replace(event, payload=bytes(size), payload_size=size)
    value, schema = codec.encode(event), manifest.latest(type(event).__name__).dataschema
    begins = len(value) - size
    bare = msgspec.structs.replace(event, payload=b"")
    assert codec.decode_head(value[: begins + beyond], len(value), schema) == bare
    for cut in {6, begins // 2, begins - 4}:
        with pytest.raises(codec.DecodeError):
            codec.decode_head(value[:cut], len(value), schema)
    with pytest.raises(codec.DecodeError, match="not what its size says"):
        codec.decode_head(value[: begins + beyond], len(value) + 1, schema)
    lies = codec.encode(msgspec.structs.replace(event, payload_size=size + 1))
    with pytest.raises(codec.DecodeError, match="not what its size says"):
        codec.decode_head(lies, len(lies), schema)
