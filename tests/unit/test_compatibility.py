"""The checker of schemas names what breaks FULL_TRANSITIVE or lets bytes do harm, and nothing else."""

import copy
from typing import Any

import pytest

from funcledger_schemas import manifest
from funcledger_schemas.compatibility import faults_of

Schema = dict[str, Any]


def record(*fields: Schema, **more: Any) -> Schema:
    return {"type": "record", "name": "Thing", "doc": "A thing.", "fields": list(fields), **more}


def field(name: str, type_: Any, **more: Any) -> Schema:
    return {"name": name, "type": type_, "doc": "What it is.", **more}


def enum(*symbols: str, **more: Any) -> Schema:
    return {"type": "enum", "name": "Colour", "symbols": list(symbols), **more}


A = field("a", "long")
NOTE = field("note", ["null", "string"], default=None)
PAYLOAD = [
    field("payload_format", "string"),
    field("payload_sha256", "string"),
    field("payload_size", "long"),
    field("payload", "bytes"),
]


@pytest.mark.parametrize(
    "versions",
    [
        [record(A)],
        [record(A), record(A, NOTE), record(field("first", "int", default=0), A, NOTE)],
        [record(A), record(A, NOTE), record(A)],
        [record(A, *PAYLOAD), record(A, NOTE, *PAYLOAD)],
        [record(A, field("c", enum("RED", "UNKNOWN", default="UNKNOWN"))),
         record(A, field("c", enum("RED", "BLUE", "UNKNOWN", default="UNKNOWN")))],
        [record(field("many", {"type": "array", "items": "long"}))],
        [record(field("tags", {"type": "map", "values": ["null", "string"]}))],
    ],
)  # fmt: skip
def test_what_any_two_versions_can_read_of_each_other_passes(versions: list[Schema]) -> None:
    assert faults_of(versions) == []


@pytest.mark.parametrize(
    ("versions", "sentence"),
    [
        ([record(A), record(A, field("b", "long"))],
         "version 2 cannot read version 1: b: is not there and has no default"),
        ([record(A, field("b", "long")), record(A)],
         "version 1 cannot read version 2: b: is not there and has no default"),
        ([record(A, NOTE), record(A), record(A, field("note", ["null", "long"], default=None))],
         "version 3 cannot read version 1: note: no branch takes string"),
        ([record(A), record(field("a", "int"))], "version 2 cannot read version 1: a: long is read as int"),
        ([record(A), record(field("a", ["null", "long"], default=None))],
         "version 1 cannot read version 2: a: null is read as long"),
        ([record(A), record(A, name="Other")], "the event: name Thing is read as name Other"),
        ([record(field("at", {"type": "long", "logicalType": "timestamp-micros"})),
          record(field("at", {"type": "long", "logicalType": "timestamp-millis"}))],
         "at: logicalType timestamp-micros is read as logicalType timestamp-millis"),
        ([record(field("f", {"type": "fixed", "name": "F", "size": 2})),
          record(field("f", {"type": "fixed", "name": "F", "size": 3}))],
         "f: name F, size 2 is read as name F, size 3"),
        ([record(field("many", {"type": "array", "items": "long"})),
          record(field("many", {"type": "array", "items": "string"}))], "many: long is read as string"),
    ],
)  # fmt: skip
def test_two_versions_that_cannot_read_each_other_are_named(versions: list[Schema], sentence: str) -> None:
    assert any(sentence in fault for fault in faults_of(versions)), faults_of(versions)


@pytest.mark.parametrize(
    ("schema", "sentence"),
    [
        (record(A, doc=""), "Thing: is not documented"),
        (record({"name": "a", "type": "long"}), "a: is not documented"),
        (record(field("in", record({"name": "b", "type": "long"}, name="Inner"))), "in.b: is not documented"),
        (record(field("c", enum("RED"))), "c: an enum needs a default"),
        (record(field("c", enum("RED", default="BLUE"))), "not an Avro schema"),
        (record(field("b", "bytes", default="x")), "b: bytes may have no default"),
        (record(field("b", ["null", "string"], default="x")), "b: the default 'x' is not of type null"),
        (record(A, field("payload", "bytes")), "the last fields are a, payload"),
        (record(*PAYLOAD, A), "the last fields are payload_sha256, payload_size, payload, a"),
        (record(*PAYLOAD[:-1], field("payload", "string")), "payload: is not of type bytes"),
        (record(field("a", "nonsense")), "not an Avro schema"),
        (enum("RED", default="RED"), "not a record"),
    ],
)
def test_a_schema_that_breaks_the_house_s_form_is_refused(schema: Schema, sentence: str) -> None:
    assert any(sentence in fault for fault in faults_of([schema])), faults_of([schema])


def test_removing_a_field_of_a_real_event_is_refused() -> None:
    released = manifest.schema(manifest.latest("TaskStarted"))
    changed = copy.deepcopy(released)
    changed["fields"] = [field for field in changed["fields"] if field["name"] != "worker"]
    assert faults_of([released, changed]) == [
        "version 1 cannot read version 2: worker: is not there and has no default"
    ]
