"""Events to bytes and back: Avro in Confluent's wire format (magic byte, 4-byte schema id, body)."""

import io
from functools import cache
from typing import Any, cast

import fastavro
import msgspec

from funcledger_schemas import events, manifest
from funcledger_schemas.events import Event
from funcledger_schemas.limits import RECORD_LIMIT

_PREFIX = 5
_asdict = msgspec.structs.asdict


class DecodeError(ValueError):
    """Raised when bytes are not an event we can read; the message says why."""


def _physical(schema: Any) -> Any:
    """The schema without logical types: the same bytes, but instants stay plain integers."""
    if isinstance(schema, dict):
        return {key: _physical(value) for key, value in schema.items() if key not in ("logicalType", "doc")}
    return [_physical(item) for item in schema] if isinstance(schema, list) else schema


@cache
def _parsed(entry: manifest.Entry) -> Any:
    return fastavro.parse_schema(_physical(manifest.schema(entry)))


@cache
def _parsed_before_payload(entry: manifest.Entry) -> Any:
    schema = _physical(manifest.schema(entry))
    fields = [field for field in schema["fields"] if field["name"] != "payload"]
    return fastavro.parse_schema(schema | {"fields": fields})


@cache
def _writer(kind: type[Event]) -> tuple[bytes, Any]:
    entry = manifest.latest(kind.__name__)
    return b"\0" + entry.id.to_bytes(4, "big"), _parsed(entry)


@cache
def _by_dataschema() -> dict[str, manifest.Entry]:
    return {entry.dataschema: entry for entry in manifest.entries()}


@cache
def _reader(entry: manifest.Entry) -> tuple[type[Event], Any, Any]:
    newest = manifest.latest(entry.name)
    reader = None if newest == entry else _parsed(newest)
    return cast("type[Event]", getattr(events, entry.name)), _parsed(entry), reader


def encode(event: Event) -> bytes:
    """The event as it stands in a record's value."""
    prefix, schema = _writer(type(event))
    out = io.BytesIO()
    out.write(prefix)
    fastavro.schemaless_writer(out, schema, _asdict(event))
    return out.getvalue()


def decode(value: bytes, dataschema: str) -> Event:
    """The event in a record's value, as today's class, whichever version wrote it.

    ``dataschema`` is the record's ``ce_dataschema`` header; the id in the bytes may be a foreign
    registry's. The bytes are capped before anything is decoded.

    Raises:
        DecodeError: not our wire format, an unknown schema, cut short, or bytes left over.
    """
    entry = _entry_of(value, dataschema)
    kind, writer, reader = _reader(entry)
    fields, end = _read(value, entry, writer, reader)
    if end != len(value):
        raise DecodeError(f"{len(value) - end} bytes follow the {entry.name}")
    return kind(**fields)


def before_payload(value: bytes, dataschema: str) -> bytes:
    """The part of a value between the schema's id and the payload; all of it where there is no payload.

    Raises:
        DecodeError: as :func:`decode`.
    """
    decode(value, dataschema)
    entry = _entry_of(value, dataschema)
    _, end = _read(value, entry, _parsed_before_payload(entry), None)
    return value[_PREFIX:end]


def _entry_of(value: bytes, dataschema: str) -> manifest.Entry:
    entry = _by_dataschema().get(dataschema)
    if entry is None:
        raise DecodeError(f"unknown schema {dataschema!r}")
    if len(value) > RECORD_LIMIT:
        raise DecodeError(f"{len(value)} bytes are over the record limit of {RECORD_LIMIT}")
    if len(value) < _PREFIX or value[0] != 0:
        raise DecodeError("not in Confluent's wire format: no magic byte and schema id")
    return entry


def _read(value: bytes, entry: manifest.Entry, writer: Any, reader: Any) -> tuple[dict[str, Any], int]:
    """The fields that stand after the prefix, and where they end."""
    body = io.BytesIO(value)
    body.seek(_PREFIX)
    try:
        fields = fastavro.schemaless_reader(body, writer, reader)
    except Exception as error:  # fastavro raises whatever the bytes lead it into
        raise DecodeError(f"not a {entry.name} of version {entry.version}: {error!r}") from error
    return cast("dict[str, Any]", fields), body.tell()
