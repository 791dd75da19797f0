"""The classes, the .avsc files and the manifest say the same."""

import types
import typing
from importlib import resources
from typing import Any

import msgspec
import pytest
from tests.support.events import event_classes, parts_of_events

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
    21: ("FunctionRegistered", 2, "functions"),
    22: ("FunctionShared", 2, "functions"),
    23: ("FunctionUnshared", 2, "functions"),
    24: ("EndpointUnshared", 2, "endpoints"),
    25: ("FunctionDeleted", 2, "functions"),
    26: ("EndpointDeleted", 2, "endpoints"),
    27: ("EndpointShared", 2, "endpoints"),
    28: ("EndpointRegistered", 2, "endpoints"),
    29: ("EndpointStarted", 2, "results"),
    30: ("TaskSubmitted", 2, "tasks"),
    31: ("TaskCancelRequested", 2, "tasks"),
    32: ("TaskStarted", 2, "results"),
    33: ("TaskAttemptFailed", 2, "results"),
    34: ("TaskCompleted", 2, "results"),
    35: ("TaskFailed", 2, "results"),
    36: ("TaskCancelled", 2, "results"),
    37: ("AccessRefused", 2, "audit"),
    38: ("EndpointCredentialIssued", 1, "endpoints"),
    39: ("EndpointCredentialRevoked", 1, "endpoints"),
    40: ("EndpointChanged", 1, "endpoints"),
    41: ("EndpointEnvironment", 1, "results"),
    42: ("TaskReleased", 1, "tasks"),
    43: ("TaskStreamed", 1, "streams"),
    44: ("PersonDescribed", 1, "access"),
    45: ("PersonLinked", 1, "access"),
    46: ("PersonLoggedIn", 1, "access"),
    47: ("PersonLoggedOut", 1, "access"),
    48: ("GroupCreated", 1, "access"),
    49: ("GroupDeleted", 1, "access"),
    50: ("GroupMemberAdded", 1, "access"),
    51: ("GroupMemberRemoved", 1, "access"),
    52: ("OwnershipTransferred", 1, "access"),
    53: ("ResultsShared", 1, "access"),
    54: ("ResultsUnshared", 1, "access"),
    55: ("TokenCreated", 1, "access"),
    56: ("TokenRevoked", 1, "access"),
    57: ("Checkpoint", 1, "audit"),
    58: ("PayloadErased", 1, "audit"),
}


def _annotation(avro: Any) -> Any:
    if isinstance(avro, list):
        null, other = avro
        assert null == "null"
        return _annotation(other) | None
    if not isinstance(avro, dict):
        return PYTHON.get(avro) or getattr(events, avro)
    if avro["type"] == "array":
        return types.GenericAlias(tuple, (_annotation(avro["items"]), ...))
    if avro["type"] != "record":
        return PYTHON[avro["type"]]
    kind = getattr(events, avro["name"])
    hints = typing.get_type_hints(kind)
    assert {field["name"]: _annotation(field["type"]) for field in avro["fields"]} == hints
    return kind


@pytest.mark.parametrize("kind", event_classes(), ids=lambda kind: kind.__name__)
def test_a_class_has_the_fields_and_types_of_its_schema(kind: type[Event]) -> None:
    schema = manifest.schema(manifest.latest(kind.__name__))
    hints = typing.get_type_hints(kind)
    assert {f.name for f in msgspec.structs.fields(kind)} == {f["name"] for f in schema["fields"]}
    assert {f["name"]: _annotation(f["type"]) for f in schema["fields"]} == {
        f.name: hints[f.name] for f in msgspec.structs.fields(kind)
    }
    defaults = {f["name"]: f["default"] for f in schema["fields"] if "default" in f}
    assert defaults == {f.name: f.default for f in msgspec.structs.fields(kind) if not f.required}
    assert (schema["namespace"], schema["name"]) == ("funcledger.events", kind.__name__)


def test_every_class_is_released_and_every_release_has_a_class() -> None:
    others = {"Event", "TaskEvent", *parts_of_events()}
    assert {entry.name for entry in manifest.entries()} == set(events.__all__) - others


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
