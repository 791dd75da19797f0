"""The rule of evolution, FULL_TRANSITIVE: any two released versions of an event read each other's bytes."""

from collections.abc import Iterator, Sequence
from itertools import permutations
from typing import Any

from funcledger_schemas import manifest
from funcledger_schemas.form import expanded, faults_of_form, kind_of

Schema = dict[str, Any]


def faults_of_release() -> list[str]:
    """What is wrong with the schemas this release ships and with the manifest, as sentences."""
    faults = []
    for name in dict.fromkeys(entry.name for entry in manifest.entries()):
        released = [entry for entry in manifest.entries() if entry.name == name]
        if [entry.version for entry in released] != list(range(1, len(released) + 1)):
            faults.append(f"{name}: versions do not rise by one from 1")
        if len({entry.topic for entry in released}) > 1:
            faults.append(f"{name}: moves from one topic to another")
        faults += [f"{name}: {fault}" for fault in faults_of([manifest.schema(entry) for entry in released])]
    return faults


def faults_of(versions: Sequence[Schema]) -> list[str]:
    """What is wrong with an event's versions, oldest first: each by itself, then each pair both ways."""
    numbered = list(enumerate(versions, start=1))
    faults = [f"version {number}: {fault}" for number, schema in numbered for fault in faults_of_form(schema)]
    if faults:
        return faults
    for (old, writer), (new, reader) in permutations(numbered, 2):
        unread = _unread(expanded(writer), expanded(reader), "")
        faults += [f"version {new} cannot read version {old}: {fault}" for fault in unread]
    return faults


def _unread(writer: Any, reader: Any, path: str) -> Iterator[str]:
    """Why a reader's type cannot take everything a writer's may have written.

    An enum needs no look at its symbols: its default, which every enum has, stands for unknown ones.
    """
    wrote, reads = kind_of(writer), kind_of(reader)
    if wrote == "union":
        for branch in writer:
            yield from _unread(branch, reader, path)
    elif reads == "union":
        if all(any(_unread(writer, branch, path)) for branch in reader):
            yield f"{path}: no branch takes {wrote}"
    elif wrote != reads:  # Avro would read an int as a long, but the rule goes both ways
        yield f"{path}: {wrote} is read as {reads}"
    elif _meaning(writer) != _meaning(reader):
        was, is_ = (_meaning(type_) or "plain" for type_ in (writer, reader))
        yield f"{path or 'the event'}: {was} is read as {is_}"
    elif wrote == "record":
        yield from _unread_fields(writer, reader, path)
    elif wrote in ("array", "map"):
        items = "items" if wrote == "array" else "values"
        yield from _unread(writer[items], reader[items], path)


def _meaning(type_: Any) -> str:
    """What two types of one kind must share beside it: a name, a size, a logical type."""
    keys = ("name", "size", "logicalType", "precision", "scale")
    return ", ".join(f"{key} {type_[key]}" for key in keys if isinstance(type_, dict) and key in type_)


def _unread_fields(writer: Schema, reader: Schema, path: str) -> Iterator[str]:
    written = {field["name"]: field["type"] for field in writer["fields"]}
    for field in reader["fields"]:
        where = f"{path}.{field['name']}".lstrip(".")
        if field["name"] in written:
            yield from _unread(written[field["name"]], field["type"], where)
        elif "default" not in field:
            yield f"{where}: is not there and has no default"
