"""Schemas of newer releases, so that a reader left behind still understands newer writers (FAULTS 20)."""

import io
import json
import re
from collections.abc import Callable
from typing import Any, cast

import fastavro

from funcledger_schemas import events, manifest
from funcledger_schemas.codec import PREFIX, DecodeError, made, physical
from funcledger_schemas.compatibility import faults_of
from funcledger_schemas.events import Event
from funcledger_schemas.limits import RECORD_LIMIT

_NAMED = re.compile(r"urn:funcledger:schema:([A-Za-z]{1,100}):([0-9]{1,9})", re.ASCII)

#: Makes today's event of a record's value.
Reader = Callable[[bytes], Event]


def parts_of(dataschema: str) -> tuple[str, int]:
    """The event's name and the version in a ``ce_dataschema``.

    Raises:
        DecodeError: it is none of ours.
    """
    found = _NAMED.fullmatch(dataschema)
    if found is None:
        raise DecodeError(f"{dataschema[:200]!r} is not the name of a schema")
    return found[1], int(found[2])


def reader_of(dataschema: str, text: str) -> Reader:
    """What reads values written with this schema, which is not among those shipped here.

    The schema comes from elsewhere, so it must keep the rule of evolution with each version shipped here:
    then it can neither mean something else by a field we know, nor make few bytes claim much memory.

    Raises:
        DecodeError: it is of no event known here, or breaks the rule.
    """
    name, _ = parts_of(dataschema)
    shipped = [manifest.schema(entry) for entry in manifest.entries() if entry.name == name]
    if not shipped:
        raise DecodeError(f"{dataschema!r}: this version knows no {name}; upgrade it to learn what that says")
    try:
        written = json.loads(text)
        faults = faults_of([*shipped, written])
    except (ValueError, RecursionError, TypeError, KeyError, AttributeError) as error:
        raise DecodeError(f"the schema said to be {dataschema!r} cannot be used: {error!r}") from error
    if faults:
        raise DecodeError(f"the schema said to be {dataschema!r} cannot be used: {faults[0]}")
    writer = fastavro.parse_schema(physical(written))
    known = fastavro.parse_schema(physical(manifest.schema(manifest.latest(name))))
    kind = cast("type[Event]", getattr(events, name))
    return lambda value: _read(kind, value, dataschema, writer, known)


def _read(kind: type[Event], value: bytes, dataschema: str, writer: Any, known: Any) -> Event:
    if len(value) > RECORD_LIMIT or len(value) < PREFIX or value[0] != 0:
        raise DecodeError(
            f"{len(value)} bytes that are not in Confluent's wire format, or over {RECORD_LIMIT}"
        )
    body = io.BytesIO(value)
    body.seek(PREFIX)
    try:
        fields = fastavro.schemaless_reader(body, writer, known)
        if body.tell() != len(value):
            raise DecodeError("bytes follow the event")
        return made(kind, cast("dict[str, Any]", fields))
    except Exception as error:  # fastavro raises whatever the bytes lead it into
        raise DecodeError(f"not of {dataschema!r}: {error!r}") from error
