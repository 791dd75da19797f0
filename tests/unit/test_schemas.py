"""The classes, the .avsc files and the manifest say the same."""

import typing
from importlib import resources
from typing import Any

import msgspec
import pytest
from tests.support.events import event_classes

from funcledger_schemas import envelope, events, manifest
from funcledger_schemas.compatibility import faults_of_release
from funcledger_schemas.events import Event

PYTHON: dict[str, object] = {
    "boolean": bool,
    "int": int,
    "long": int,
    "double": float,
    "string": str,
    "bytes": bytes,
}

#: Ids on the wire are for ever: a released line is never changed or removed, new ones are added below.
RELEASED = {
    1: ("FunctionRegistered", 1, "functions"),
    2: ("FunctionShared", 1, "functions"),
    3: ("FunctionUnshared", 1, "functions"),
    4: ("FunctionDeleted", 1, "functions"),
    5: ("EndpointRegistered", 1, "endpoints"),
    6: ("EndpointShared", 1, "endpoints"),
    7: ("EndpointUnshared", 1, "endpoints"),
    8: ("EndpointDeleted", 1, "endpoints"),
    9: ("EndpointHeartbeat", 1, "heartbeats"),
    10: ("TaskSubmitted", 1, "tasks"),
    11: ("TaskCancelRequested", 1, "tasks"),
    12: ("EndpointStarted", 1, "results"),
    13: ("EndpointStopped", 1, "results"),
    14: ("TaskStarted", 1, "results"),
    15: ("TaskAttemptFailed", 1, "results"),
    16: ("TaskCompleted", 1, "results"),
    17: ("TaskFailed", 1, "results"),
    18: ("TaskCancelled", 1, "results"),
    19: ("RecordDeadLettered", 1, "dead_letters"),
    20: ("AccessRefused", 1, "audit"),
}


def _annotation(avro: Any) -> object:
    if isinstance(avro, list):
        null, other = avro
        assert null == "null"
        return PYTHON[other] | None  # type: ignore[operator]
    return PYTHON[avro["type"]] if isinstance(avro, dict) else PYTHON[avro]


@pytest.mark.parametrize("kind", event_classes(), ids=lambda kind: kind.__name__)
def test_a_class_has_the_fields_and_types_of_its_schema(kind: type[Event]) -> None:
    schema = manifest.schema(manifest.latest(kind.__name__))
    hints = typing.get_type_hints(kind)
    assert {f.name for f in msgspec.structs.fields(kind)} == {f["name"] for f in schema["fields"]}
    assert {f["name"]: _annotation(f["type"]) for f in schema["fields"]} == {
        f.name: hints[f.name] for f in msgspec.structs.fields(kind)
    }
    assert (schema["namespace"], schema["name"]) == ("funcledger.events", kind.__name__)


def test_every_class_is_released_and_every_release_has_a_class() -> None:
    bases = {"Event", "TaskEvent"}
    assert {entry.name for entry in manifest.entries()} == set(events.__all__) - bases


def test_the_manifest_and_the_files_are_the_same_set() -> None:
    files = {path.name for path in (resources.files("funcledger_schemas") / "avro").iterdir()}
    assert files == {f"{entry.name}.{entry.version}.avsc" for entry in manifest.entries()}


def test_released_ids_are_for_ever_and_the_manifest_only_grows() -> None:
    entries = manifest.entries()
    assert [entry.id for entry in entries] == list(range(1, len(entries) + 1))
    assert {entry.id: (entry.name, entry.version, entry.topic) for entry in entries} == RELEASED
    assert {entry.topic for entry in entries} == set(envelope.TOPICS)


def test_the_release_keeps_the_rule_of_evolution() -> None:
    assert faults_of_release() == []
