"""Functions as bytes and back: by value with dill, and their source as a second form.

The payload `function/1` is 4 bytes big-endian length of a JSON head, the head, then dill's bytes
(none where only source was registered). Its SHA-256 names the function's content everywhere.
"""

import hashlib
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from funcledger_payloads.errors import DeserializationError, SerializationError, VersionMismatch
from funcledger_payloads.source import function_from, imports_of, source_of

FORMAT = "function/1"
PYTHON = ".".join(str(part) for part in sys.version_info[:3])


@dataclass(slots=True, frozen=True)
class FunctionPayload:
    """A function on its way: ``bytes`` in format `function/1`, and what is said of it beside."""

    name: str
    python: str
    dill: str
    source: str | None
    bytes: bytes
    sha256: str


def dump_function(function: Callable[..., Any]) -> FunctionPayload:
    """The function with everything of the user's that it refers to.

    Raises:
        SerializationError: naming the function, and what it refers to that cannot be carried.
    """
    from funcledger_payloads import by_value

    name = _name_of(function)
    if not callable(function):
        raise SerializationError(f"{name} cannot be called, so it cannot be run elsewhere")
    try:
        body = by_value.dumps(function)
    except Exception as error:
        raise SerializationError(
            f"the function {name} cannot be serialised: {_culprit(function, error)}"
        ) from error
    source = source_of(function)
    head = {
        "name": name,
        "python": PYTHON,
        "dill": by_value.VERSION,
        "source": source,
        "imports": imports_of(function, source),
        "reference": by_value.is_installed(getattr(function, "__module__", None)),
    }
    return _pack(head, body)


def dump_source(source: str, name: str) -> FunctionPayload:
    """A function of which only the source is given; it runs under any version that can compile it.

    Raises:
        SerializationError: the source does not compile here.
    """
    try:
        compile(source, f"<source of {name}>", "exec", dont_inherit=True)
    except (SyntaxError, ValueError) as error:
        raise SerializationError(f"the source of {name} does not compile: {error}") from error
    return _pack({"name": name, "python": PYTHON, "dill": "none", "source": source, "imports": {}}, b"")


def load_function(payload: bytes) -> Callable[..., Any]:
    """The function in this payload, ready to be called.

    Raises:
        VersionMismatch: it is of another minor version of Python and its source does not stand alone.
        DeserializationError: it cannot be read here, for instance for want of a module.
    """
    head, body = read_head(payload)
    if body and (head.get("reference") or _minor(head["python"]) == _minor(PYTHON)):
        return _from_dill(head["name"], body)
    if head.get("imports") is None or head.get("source") is None:
        raise VersionMismatch(f"{_versions(head)}, and its source does not stand alone")
    try:
        return function_from(head["source"], head["name"], head["imports"])
    except Exception as error:
        why = f"{type(error).__name__}: {error}"
        if not body:
            raise DeserializationError(f"the source of {head['name']} cannot be run here: {why}") from error
        raise VersionMismatch(f"{_versions(head)}, and its source cannot be run here: {why}") from error


def read_head(payload: bytes) -> tuple[dict[str, Any], bytes]:
    """What a function's payload says of itself, without opening it, and dill's bytes.

    Raises:
        DeserializationError: it is not a `function/1`.
    """
    end = 4 + int.from_bytes(payload[:4], "big")
    try:
        head = json.loads(payload[4:end])
        if not (isinstance(head, dict) and isinstance(head["name"], str) and isinstance(head["python"], str)):
            raise TypeError("a field is missing or of the wrong type")
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise DeserializationError(f"these {len(payload)} bytes are not a function: {error}") from error
    return head, payload[end:]


def _from_dill(name: str, body: bytes) -> Callable[..., Any]:
    from funcledger_payloads.values import load

    try:
        function = load("dill", body)
    except DeserializationError as error:
        raise DeserializationError(f"the function {name}: {error}") from error.__cause__
    if not callable(function):
        raise DeserializationError(f"{name} is a {type(function).__name__}, not a function")
    return function  # type: ignore[no-any-return]


def _pack(head: dict[str, Any], body: bytes) -> FunctionPayload:
    text = json.dumps(head | {"size": len(body)}, separators=(",", ":")).encode()
    payload = b"".join((len(text).to_bytes(4, "big"), text, body))
    digest = hashlib.sha256(payload).hexdigest()
    return FunctionPayload(head["name"], head["python"], head["dill"], head["source"], payload, digest)


def _name_of(function: Any) -> str:
    return str(getattr(function, "__name__", None) or type(function).__name__)


def _minor(version: str) -> str:
    return ".".join(version.split(".")[:2])


def _versions(head: dict[str, Any]) -> str:
    return f"{head['name']} was registered under Python {head['python']}, this endpoint runs {PYTHON}"


def _culprit(function: Any, error: Exception) -> str:
    """Which of the globals it uses is at fault, where one by itself fails too."""
    from dill.detect import globalvars

    from funcledger_payloads.values import dump

    for name, value in globalvars(function, recurse=False).items():
        if callable(value):
            continue
        try:
            dump(value)
        except SerializationError as inner:
            return f"it uses the global {name!r}: {inner}"
    return str(error)
