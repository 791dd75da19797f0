"""The append-only list of schema ids: which number on the wire is which event in which version."""

import json
from functools import cache
from importlib import resources
from typing import Any, NamedTuple

_HERE = resources.files("funcledger_schemas")

#: What every event's full name, and a record's ``ce_type``, begins with.
NAMESPACE = "funcledger.events."
#: What every ``ce_dataschema`` begins with; the event's name and the version follow.
URN = "urn:funcledger:schema:"


class Entry(NamedTuple):
    """One schema: its id in Confluent's wire format, its event, version, and topic."""

    id: int
    name: str
    version: int
    topic: str

    @property
    def dataschema(self) -> str:
        """The CloudEvents ``dataschema`` by which our own readers find this schema."""
        return f"{URN}{self.name}:{self.version}"

    def subject(self, prefix: str = "") -> str:
        """What a schema registry calls the event: TopicRecordNameStrategy, ``prefix`` being the topics'."""
        return f"{prefix}{self.topic}-{NAMESPACE}{self.name}"


@cache
def entries() -> tuple[Entry, ...]:
    """Every schema ever released, by id."""
    return tuple(Entry(**row) for row in json.loads((_HERE / "manifest.json").read_text()))


@cache
def latest(name: str) -> Entry:
    """The newest schema of an event, the one that is written."""
    return max((entry for entry in entries() if entry.name == name), key=lambda entry: entry.version)


def schema_text(entry: Entry) -> str:
    """The schema as it stands in its ``.avsc`` file, documentation included."""
    return (_HERE / "avro" / f"{entry.name}.{entry.version}.avsc").read_text()


def schema(entry: Entry) -> dict[str, Any]:
    """The schema as JSON values."""
    parsed: dict[str, Any] = json.loads(schema_text(entry))
    return parsed
