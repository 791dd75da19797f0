"""Events to bytes and back: Avro in Confluent's wire format (magic byte, 4-byte schema id, body).

Well-formed events of today's schemas go by a :mod:`plan`, which is several times as fast; everything
else goes by fastavro, which is the reference: what it makes of bytes, or refuses, is what stands.
"""

import io
from functools import cache
from typing import Any, NamedTuple, cast

import fastavro
import msgspec

from funcledger_schemas import events, manifest
from funcledger_schemas.events import Event
from funcledger_schemas.limits import RECORD_LIMIT
from funcledger_schemas.plan import Plan, plan_of
from funcledger_schemas.plan_tools import long

#: Bytes before the body: the magic byte and the schema's id.
PREFIX = 5


class DecodeError(ValueError):
    """Raised when bytes are not an event we can read; the message says why."""


class _Schema(NamedTuple):
    """How events of one schema are read and, where it is the newest of its event, written."""

    entry: manifest.Entry
    kind: type[Event]
    #: As fastavro wants them: the schema itself, and the newest one where that is another.
    parsed: Any
    newest: Any
    #: None where fastavro alone must do.
    plan: Plan | None


def physical(schema: Any) -> Any:
    """The schema without logical types: the same bytes, but instants stay plain integers."""
    if isinstance(schema, dict):
        return {key: physical(value) for key, value in schema.items() if key not in ("logicalType", "doc")}
    return [physical(item) for item in schema] if isinstance(schema, list) else schema


@cache
def _parsed(entry: manifest.Entry) -> Any:
    return fastavro.parse_schema(physical(manifest.schema(entry)))


@cache
def _parsed_before_payload(entry: manifest.Entry) -> Any:
    schema = physical(manifest.schema(entry))
    fields = [field for field in schema["fields"] if field["name"] != "payload"]
    return fastavro.parse_schema(schema | {"fields": fields})


def _prefix(entry: manifest.Entry) -> bytes:
    return b"\0" + entry.id.to_bytes(4, "big")


@cache
def _by_dataschema() -> dict[str, manifest.Entry]:
    return {entry.dataschema: entry for entry in manifest.entries()}


@cache
def _schema(dataschema: str) -> _Schema:
    entry = _by_dataschema().get(dataschema)
    if entry is None:
        raise DecodeError(f"unknown schema {dataschema!r}")
    kind = cast("type[Event]", getattr(events, entry.name))
    parsed, newest = _parsed(entry), manifest.latest(entry.name)
    plan = plan_of(kind, manifest.schema(entry)["fields"], _prefix(entry))
    return _Schema(entry, kind, parsed, None if newest == entry else _parsed(newest), plan)


@cache
def _written(kind: type[Event]) -> _Schema:
    return _schema(manifest.latest(kind.__name__).dataschema)


def encode(event: Event) -> bytes:
    """The event as it stands in a record's value."""
    schema = _written(type(event))
    if schema.plan is not None:
        try:
            return schema.plan.write(event)
        except Exception:  # whatever it stumbled on
            return _encode_by_reference(event, schema)
    return _encode_by_reference(event, schema)


def _encode_by_reference(event: Event, schema: _Schema) -> bytes:
    out = io.BytesIO()
    out.write(_prefix(schema.entry))
    fastavro.schemaless_writer(out, schema.parsed, _fields(event), disable_tuple_notation=True)
    return out.getvalue()


def _fields(event: Event) -> dict[str, Any]:
    """The event as fastavro takes it: records within it as objects too."""
    return {
        name: msgspec.to_builtins(value) if isinstance(value, tuple | msgspec.Struct) else value
        for name, value in msgspec.structs.asdict(event).items()
    }


def made(kind: type[Event], fields: dict[str, Any]) -> Event:
    """The event of what fastavro read.

    Raises:
        ValidationError: a field is not of its type.
    """
    return msgspec.convert(fields, kind)


def decode(value: bytes, dataschema: str) -> Event:
    """The event in a record's value, as today's class, whichever version wrote it.

    ``dataschema`` is the record's ``ce_dataschema`` header; the id in the bytes may be a foreign
    registry's. The bytes are capped before anything is decoded.

    Raises:
        DecodeError: not our wire format, an unknown schema, cut short, or bytes left over.
    """
    schema = _schema(dataschema)
    _check_frame(value)
    if schema.plan is not None:
        try:
            return schema.plan.read(value)
        except Exception:  # whatever it stumbled on
            return _decode_by_reference(value, schema)
    return _decode_by_reference(value, schema)


def _decode_by_reference(value: bytes, schema: _Schema) -> Event:
    fields, end = _read(value, schema.entry, schema.parsed, schema.newest)
    if end != len(value):
        raise DecodeError(f"{len(value) - end} bytes follow the {schema.entry.name}")
    return made(schema.kind, fields)


def decode_head(head: bytes, size: int, dataschema: str) -> Event:
    """The event of a value that is ``size`` bytes long, by its beginning: with an empty payload.

    That is said to be as long as it is, so ``payload_size`` tells.

    Raises:
        DecodeError: as :func:`decode`; or its payload begins further on, or is not as long as it says.
    """
    schema = _schema(dataschema)
    _check_frame(head)
    newest = _parsed_before_payload(manifest.latest(schema.entry.name))
    fields, end = _read(head, schema.entry, _parsed_before_payload(schema.entry), newest)
    length = fields.get("payload_size")
    if not isinstance(length, int) or end + len(long(length)) + length != size or size > RECORD_LIMIT:
        raise DecodeError(f"the payload of the {schema.entry.name} is not what its size says")
    fields["payload"] = b""
    return made(schema.kind, fields)


def decode_apart(value: bytes, dataschema: str) -> tuple[Event, bytes]:
    """The event, and the part of its value between the schema's id and the payload; all where there is none.

    Raises:
        DecodeError: as :func:`decode`.
    """
    event = decode(value, dataschema)
    payload: bytes | None = getattr(event, "payload", None)
    if payload is None:
        return event, value[PREFIX:]
    length = long(len(payload))
    end = len(value) - len(payload) - len(length)
    if not value.startswith(length, end):
        # The length takes more bytes than it needs, so only a reader can tell where it begins.
        entry = _schema(dataschema).entry
        _, end = _read(value, entry, _parsed_before_payload(entry), None)
    return event, value[PREFIX:end]


def _check_frame(value: bytes) -> None:
    if len(value) > RECORD_LIMIT:
        raise DecodeError(f"{len(value)} bytes are over the record limit of {RECORD_LIMIT}")
    if len(value) < PREFIX or value[0] != 0:
        raise DecodeError("not in Confluent's wire format: no magic byte and schema id")


def _read(value: bytes, entry: manifest.Entry, writer: Any, reader: Any) -> tuple[dict[str, Any], int]:
    """The fields that stand after the prefix, and where they end."""
    body = io.BytesIO(value)
    body.seek(PREFIX)
    try:
        fields = fastavro.schemaless_reader(body, writer, reader)
    except Exception as error:  # fastavro raises whatever the bytes lead it into
        raise DecodeError(f"not a {entry.name} of version {entry.version}: {error!r}") from error
    return cast("dict[str, Any]", fields), body.tell()
