"""Raw records of a log become facts, by the schema files and a decoder that the product does not use."""

import hashlib
import io
import json
import urllib.parse
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import avro.io
import avro.schema

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SCHEMAS = Path(__file__).parents[3] / "schemas" / "funcledger_schemas"


class Damaged(Exception):
    """Raised when a log cannot be read as docs/formats.md says; the message says where."""


class Raw(NamedTuple):
    """A record as it stands on the log; ``timestamp`` is when it was appended, in ms since 1970.

    Where a ``dataschema`` is given, ``headers`` are only those that do not follow from it and the value.
    """

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes
    headers: tuple[tuple[str, bytes], ...]
    value: bytes
    dataschema: str | None = None


@dataclass(frozen=True, slots=True)
class Fact:
    """A decoded record; ``leaf`` is what can be proved of it without its payload (docs/formats.md)."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    name: str
    fields: dict[str, Any]
    leaf: bytes = b""

    def __getitem__(self, field: str) -> Any:
        return self.fields[field]

    @property
    def failure(self) -> tuple[str, bytes]:
        """What a TaskFailed says in words, and the exception's bytes (docs/formats.md, failure/1)."""
        payload = self["payload"]
        if self.fields.get("payload_format") != "failure/1":
            return self["message"], payload
        end = 4 + int.from_bytes(payload[:4], "big")
        return json.loads(payload[4:end])["message"], payload[end:]

    @property
    def where(self) -> str:
        """For people."""
        return f"{self.name} at {self.topic}/{self.partition}:{self.offset}"


def facts_of(records: Iterable[Raw]) -> Iterator[Fact]:
    """Every record as a fact.

    Raises:
        Damaged: one of them cannot be read.
    """
    for raw in records:
        name, fields = _decoded(raw)
        where = (raw.topic, raw.partition, raw.offset, raw.timestamp)
        yield Fact(*where, name, fields, _leaf(raw, _beyond(raw, name, fields), fields.get("payload")))


def _decoded(raw: Raw) -> tuple[str, dict[str, Any]]:
    where = f"{raw.topic}/{raw.partition}:{raw.offset}"
    number = int.from_bytes(raw.value[1:5], "big")
    if raw.value[:1] != b"\0" or number not in _names():
        raise Damaged(f"the record at {where} does not begin as a value does: {raw.value[:5]!r}")
    name, version = _names()[number]
    body = io.BytesIO(raw.value[5:])
    try:
        fields = dict(_reader(name, version).read(avro.io.BinaryDecoder(body)))  # type: ignore[call-overload]
    except Exception as error:
        raise Damaged(f"the {name} at {where} cannot be decoded: {error!r}") from error
    if body.read():
        raise Damaged(f"the {name} at {where} is followed by more bytes")
    said = raw.dataschema or dict(raw.headers).get("ce_dataschema", b"").decode()
    if said != f"urn:funcledger:schema:{name}:{version}":
        raise Damaged(f"the {name} at {where} and its header ce_dataschema differ")
    return name, fields


@cache
def _names() -> dict[int, tuple[str, int]]:
    entries = json.loads((_SCHEMAS / "manifest.json").read_text())
    return {entry["id"]: (entry["name"], entry["version"]) for entry in entries}


@cache
def _reader(name: str, version: int) -> avro.io.DatumReader:
    schema = json.loads((_SCHEMAS / "avro" / f"{name}.{version}.avsc").read_text())
    text = json.dumps(schema).replace('"logicalType": "timestamp-micros"', '"of": "micros"')  # stay numbers
    return avro.io.DatumReader(avro.schema.parse(text))


def _beyond(raw: Raw, name: str, fields: dict[str, Any]) -> tuple[tuple[str, bytes], ...]:
    """The headers that do not follow from the event; where they are written out, those behind the others."""
    if raw.dataschema is not None:
        return raw.headers
    following = tuple(_following(name, dict(raw.headers)["ce_dataschema"].decode(), fields))
    whole = raw.headers[: len(following)] == following
    return raw.headers[len(following) :] if whole else raw.headers


def _following(name: str, dataschema: str, fields: dict[str, Any]) -> list[tuple[str, bytes]]:
    """The headers that follow from an event, as docs/formats.md lists them."""
    subject = next(
        fields[f"{each}_id"]
        for each in ("task", "function", "endpoint", "person", "group", "token", "batch", "event")
        if f"{each}_id" in fields
    )
    kind, _, who = fields["actor"].partition(":")
    source = f"/{kind}/{who}" if ":" in fields["actor"] else f"/{kind}"
    told = {
        "ce_specversion": "1.0",
        "ce_id": fields["event_id"],
        "ce_type": f"funcledger.events.{name}",
        "ce_source": urllib.parse.quote(source, safe="/:@"),
        "ce_time": f"{_EPOCH + timedelta(microseconds=fields['occurred_at']):%Y-%m-%dT%H:%M:%S.%f+00:00}",
        "ce_subject": subject,
        "ce_dataschema": dataschema,
        "content-type": "application/avro",
    }
    if "task_id" in fields:
        told |= {"ce_owner": fields["owner"], "ce_batch": fields["batch_id"]}
    return [(each, text.encode()) for each, text in told.items()]


def _leaf(raw: Raw, beyond: tuple[tuple[str, bytes], ...], payload: bytes | None) -> bytes:
    body = raw.value[5:]
    if payload is not None:
        body = body[: len(body) - len(payload) - _size_of_long(len(payload))]
    schema = (raw.dataschema or dict(raw.headers)["ce_dataschema"].decode()).encode()
    parts = [raw.key, schema]
    for name, content in beyond:
        parts += [name.encode(), content]
    covered = b"".join(len(part).to_bytes(4, "big") + part for part in (*parts, body))
    entry = hashlib.sha256(len(beyond).to_bytes(4, "big") + covered).digest()
    return hashlib.sha256(b"\0" + entry).digest()


def _size_of_long(number: int) -> int:
    """Bytes that Avro takes for a number that is not negative."""
    return max(1, -(-(number * 2).bit_length() // 7))
