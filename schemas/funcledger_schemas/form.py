"""The form that every schema of ours has by itself: documented, bounded when decoded, its payload last."""

from collections.abc import Iterator
from typing import Any

import fastavro
from fastavro.schema import expand_schema

_SIMPLE = {"null", "boolean", "int", "long", "float", "double", "bytes", "string"}
_PAYLOAD = ["payload_format", "payload_sha256", "payload_size", "payload"]


def expanded(schema: dict[str, Any]) -> Any:
    """The schema with every named type spelled out where it is used.

    Raises:
        Exception: whatever fastavro says of a schema that is none.
    """
    return expand_schema(schema)


def kind_of(type_: Any) -> str:
    """'record', 'union', 'long', ... ; the bare name for a type that stands within itself."""
    if isinstance(type_, list):
        return "union"
    return str(type_["type"] if isinstance(type_, dict) else type_)


def faults_of_form(schema: dict[str, Any]) -> list[str]:
    """What is wrong with one schema by itself, as sentences."""
    try:
        spelled_out = expanded(schema)
    except Exception as error:  # fastavro raises several unrelated classes
        return [f"not an Avro schema: {error!r}"]
    if kind_of(spelled_out) != "record":
        return ["not a record"]
    return [*_of_payload(spelled_out), *_of_type(spelled_out, "")]


def _of_payload(schema: dict[str, Any]) -> Iterator[str]:
    """Everything before the payload's bytes can be hashed without them, so they come last."""
    names = [field["name"] for field in schema["fields"]]
    if "payload" not in names:
        return
    if names[-4:] != _PAYLOAD:
        yield f"the last fields are {', '.join(names[-4:])}, not {', '.join(_PAYLOAD)}"
    elif schema["fields"][-1]["type"] != "bytes":
        yield "payload: is not of type bytes"


def _of_type(type_: Any, path: str) -> Iterator[str]:
    kind = kind_of(type_)
    if kind == "union":
        for branch in type_:
            yield from _of_type(branch, path)
    elif kind == "record":
        yield from _of_record(type_, path)
    elif kind == "enum":
        if "default" not in type_:
            yield f"{path}: an enum needs a default, for readers that do not know a later symbol"
    elif kind in ("array", "map"):
        yield from _of_items(type_["items" if kind == "array" else "values"], path)
    elif kind not in _SIMPLE | {"fixed"}:
        yield f"{path}: {kind} stands within itself, so a few bytes can nest for ever"


def _of_items(items: Any, path: str) -> Iterator[str]:
    if _zero_width(items):
        yield f"{path}: its items take no bytes, so a few bytes can claim any number of them"
    else:
        yield from _of_type(items, path)


def _of_record(record: dict[str, Any], path: str) -> Iterator[str]:
    if not record.get("doc"):
        yield f"{path or record['name']}: is not documented"
    for field in record["fields"]:
        where = f"{path}.{field['name']}".lstrip(".")
        if not field.get("doc"):
            yield f"{where}: is not documented"
        if "default" in field:
            yield from _of_default(field, where)
        yield from _of_type(field["type"], where)


def _of_default(field: dict[str, Any], path: str) -> Iterator[str]:
    """A union's default is of its first branch; bytes have none, for fastavro would hand out text."""
    first = field["type"][0] if kind_of(field["type"]) == "union" else field["type"]
    if kind_of(first) in ("bytes", "fixed"):
        yield f"{path}: bytes may have no default but null"
    elif not fastavro.validate(field["default"], first, raise_errors=False):
        yield f"{path}: the default {field['default']!r} is not of type {kind_of(first)}"


def _zero_width(type_: Any) -> bool:
    kind = kind_of(type_)
    if kind == "record":
        return all(_zero_width(field["type"]) for field in type_["fields"])
    return kind == "null" or (kind == "fixed" and type_["size"] == 0)
