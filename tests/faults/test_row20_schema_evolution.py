"""Row 20: readers and writers of any two releases understand each other, the next release's included.

What the next release may look like is made up here from each released schema: more fields, and an enum.
"""

import copy
import io
import json
from itertools import product
from types import SimpleNamespace
from typing import Any

import fastavro
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.support.endpoints import TestEndpoint, gateway_over, memory_log, say
from tests.support.events import any_event, plain_parts
from tests.support.golden import golden_records, versions
from tests.support.server import serving

from funcledger_event_log.http import HttpEndpointLog
from funcledger_event_log.records import DecodeError, NewRecord, Record
from funcledger_schemas import codec, manifest
from funcledger_schemas.compatibility import faults_of
from funcledger_schemas.events import Event, TaskSubmitted
from funcledger_schemas.newer import reader_of

Schema = dict[str, Any]
NAMES = list(dict.fromkeys(entry.name for entry in manifest.entries()))
COLOUR = {"type": "enum", "name": "Colour", "symbols": ["RED", "UNKNOWN"], "default": "UNKNOWN"}
ADDED: list[Schema] = [
    {"name": "note", "type": ["null", "string"], "default": None, "doc": "Added."},
    {"name": "weight", "type": "long", "default": 7, "doc": "Added."},
    {"name": "colour", "type": COLOUR, "default": "RED", "doc": "Added."},
]
FILLED = {"note": "a word", "weight": 3, "colour": "UNKNOWN"}


def following(name: str) -> tuple[str, Schema]:
    """The name and the schema of the version that might come next."""
    newest = manifest.latest(name)
    schema = copy.deepcopy(manifest.schema(newest))
    schema["fields"][1:1] = copy.deepcopy(ADDED)
    return f"urn:funcledger:schema:{name}:{newest.version + 1}", schema


def written(schema: Schema, fields: dict[str, Any]) -> bytes:
    out = io.BytesIO(b"\0\0\0\x03\xe7")
    out.seek(5)
    fastavro.schemaless_writer(out, fastavro.parse_schema(copy.deepcopy(schema)), fields)
    return out.getvalue()


def read(value: bytes, writer: Schema, reader: Schema) -> dict[str, Any]:
    parsed: list[Any] = [fastavro.parse_schema(copy.deepcopy(each)) for each in (writer, reader)]
    fields: Any = fastavro.schemaless_reader(io.BytesIO(value[5:]), parsed[0], parsed[1])
    return dict(fields)


def as_written_by(schema: Schema, event: Event) -> Event:
    """The event as far as the schema says it; what that lacks is at its default."""
    names = {field["name"] for field in schema["fields"]}
    said = {name: getattr(event, name) for name in event.__struct_fields__ if name in names}
    return type(event)(**said)


@pytest.mark.parametrize("name", NAMES)
def test_row20_what_might_come_next_keeps_the_rule(name: str) -> None:
    """Else the tests below would show nothing."""
    released = [manifest.schema(entry) for entry in manifest.entries() if entry.name == name]
    assert faults_of([*released, following(name)[1]]) == []


@settings(max_examples=200, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(any_event())
def test_row20_an_old_reader_understands_a_new_writer_and_a_new_reader_an_old_one(event: Event) -> None:
    name = type(event).__name__
    dataschema, newer = following(name)
    by_new = written(newer, plain_parts(event) | FILLED)
    assert reader_of(dataschema, json.dumps(newer))(by_new) == event
    plain = {key: value for key, value in manifest.schema(manifest.latest(name)).items() if key != "doc"}
    by_old = read(codec.encode(event), plain, newer)
    assert {key: by_old[key] for key in ("note", "weight", "colour")} == {
        "note": None, "weight": 7, "colour": "RED",
    }  # fmt: skip
    occurred_at = by_old.pop("occurred_at")
    assert round(occurred_at.timestamp() * 1e6) == pytest.approx(event.occurred_at, abs=1)
    known = {key: value for key, value in plain_parts(event).items() if not key.endswith("_at")}
    assert {key: by_old[key] for key in known} == known


@pytest.mark.parametrize("version", versions())
def test_row20_every_pair_of_released_schemas_reads_each_others_golden_records(version: str) -> None:
    """Of each event in the golden log, written anew by each released version, read by each other one."""
    pairs = 0
    for record in golden_records(version):
        try:
            event = record.event()
        except DecodeError:
            continue  # the golden log holds what cannot be read, too
        released = [entry for entry in manifest.entries() if entry.name == type(event).__name__]
        for writer, reader in product(released, repeat=2):
            value = written(manifest.schema(writer), plain_parts(event))
            meant = as_written_by(manifest.schema(writer), event)
            assert codec.decode(value, writer.dataschema) == meant
            assert reader_of(writer.dataschema, manifest.schema_text(writer))(value) == meant
            read(value, manifest.schema(writer), manifest.schema(reader))
            pairs += 1
    assert pairs >= len(NAMES)


def test_row20_a_symbol_that_a_reader_does_not_know_is_read_as_the_default() -> None:
    """And would be an error without one, which is why every enum must have one."""
    newer = following("TaskStarted")[1]
    newest = copy.deepcopy(newer)
    newest["fields"][3]["type"]["symbols"].append("BLUE")
    assert faults_of([newer, newest]) == []
    fields = {field["name"]: "x" for field in newest["fields"]} | {"occurred_at": 0, "epoch": 0, "attempt": 1}
    fields["submission"] = 0
    value = written(newest, fields | FILLED | {"colour": "BLUE"})
    assert read(value, newest, newer)["colour"] == "UNKNOWN"
    del newer["fields"][3]["type"]["default"]
    with pytest.raises(fastavro.read.SchemaResolutionError):
        read(value, newest, newer)


def _without(schema: Schema, name: str) -> Schema:
    return schema | {"fields": [field for field in schema["fields"] if field["name"] != name]}


def _with(schema: Schema, **field: Any) -> Schema:
    kept = [each for each in schema["fields"] if each["name"] != field["name"]]
    return schema | {"fields": [{"doc": "Added.", **field}, *kept]}


STARTED = following("TaskStarted")[1]


@pytest.mark.parametrize(
    "text",
    [
        "", "nonsense", "[]", '"string"', "{}", "[" * 5000, json.dumps(STARTED | {"name": "TaskFailed"}),
        json.dumps(_without(STARTED, "worker")),
        json.dumps(_with(STARTED, name="attempt", type="string")),
        json.dumps(_with(STARTED, name="added", type="long")),
        json.dumps(_with(STARTED, name="bomb", type={"type": "array", "items": "null"}, default=[])),
    ],
    ids=["empty", "no JSON", "union", "no record", "no type", "nested", "other event", "field gone",
         "field of another type", "no default", "zero-width items"],
)  # fmt: skip
def test_row20_a_schema_that_breaks_the_rule_is_not_used_whoever_gives_it(text: str) -> None:
    with pytest.raises(DecodeError, match="cannot be used"):
        reader_of("urn:funcledger:schema:TaskStarted:2", text)


@given(st.binary(max_size=200))
def test_row20_bytes_that_are_not_of_the_schema_raise_nothing_but_decode_error(value: bytes) -> None:
    reader = reader_of(following("TaskStarted")[0], json.dumps(STARTED))
    with pytest.raises(DecodeError):
        reader(value)


def test_row20_an_event_that_a_reader_has_never_heard_of_says_what_to_do() -> None:
    with pytest.raises(DecodeError, match="upgrade it"):
        reader_of("urn:funcledger:schema:TaskPaused:1", "{}")


async def test_row20_an_agent_left_behind_reads_what_a_newer_server_gives_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Over HTTP: the feed names a schema that the agent does not have, so it asks the gateway, once."""
    log, endpoint = await memory_log(), TestEndpoint()
    task = endpoint.submitted(b"large" * 1000)
    dataschema, newer = following("TaskSubmitted")
    plain = NewRecord.of(task, endpoint.partition)
    headers = tuple((k, dataschema.encode() if k == "ce_dataschema" else v) for k, v in plain.headers)
    value = written(newer, plain_parts(task) | FILLED)
    unheard = tuple((k, v.replace(b":3", b":9")) for k, v in headers)
    await say(log, endpoint.registered())
    await log.append(
        [
            plain,
            *(NewRecord("tasks", endpoint.partition, plain.key, each, value) for each in (headers, unheard)),
        ]
    )
    asked = []

    def text_of(entry: manifest.Entry) -> str:
        asked.append(entry.dataschema)
        return json.dumps(newer)

    shipped = (*manifest.entries(), manifest.Entry(999, "TaskSubmitted", 3, "tasks"))
    monkeypatch.setattr(
        "funcledger_gateway.routes.manifest", SimpleNamespace(entries=lambda: shipped, schema_text=text_of)
    )
    async with gateway_over(log) as parts, serving(parts.app, parts.door.close_feeds) as url:
        view = HttpEndpointLog(url, endpoint.credential)
        records: list[Record] = []
        async for batch in view.follow_tasks(0, credit=10, credit_bytes=1 << 20):
            records += batch
            if len(records) == 3:
                break
        records += await view.fetch([1])
        await view.close()
    assert [record.event() for record in (*records[:2], records[3])] == [task] * 3
    assert isinstance(records[1].event(), TaskSubmitted)
    assert asked == [dataschema]
    with pytest.raises(DecodeError, match="TaskSubmitted:9"):
        records[2].event()
