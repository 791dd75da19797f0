"""Functions as bytes and back: by value, with their source as a second form that other Pythons can run.

The payload `function/2` is a head, which says whose code the body holds, and the body (none where only source
was registered); see ``container``. Its SHA-256 names the function's content everywhere. `function/1`, of
earlier releases, differs in its head: ``dill``, and ``reference``, in place of ``code``.
"""

import hashlib
import inspect
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from types import BuiltinFunctionType, FunctionType
from typing import Any

from funcledger_payloads import container
from funcledger_payloads.container import PYTHON
from funcledger_payloads.errors import DeserializationError, SerializationError, VersionMismatch
from funcledger_payloads.installed import has_a_name, is_installed
from funcledger_payloads.source import function_from, imports_of, source_of

FORMAT = container.FUNCTION


@dataclass(slots=True, frozen=True)
class FunctionPayload:
    """A function on its way: ``bytes`` in format `function/2`, and what is said of it beside.

    ``code`` is who can read its body (None: any Python), ``dill`` dill's version where dill wrote it, else
    empty. ``definition`` stays the same while only data changes that the function refers to.
    """

    name: str
    python: str
    code: str | None
    dill: str
    source: str | None
    bytes: bytes
    sha256: str
    definition: Hashable = None


@dataclass(slots=True, frozen=True)
class OpenedFunction:
    """A function that is ready to be called; ``stateful`` if a call may change what the next one meets."""

    call: Callable[..., Any]
    stateful: bool


def dump_function(function: Callable[..., Any], serializer: str | None = None) -> FunctionPayload:
    """The function with everything of the user's that it refers to.

    ``serializer`` "cloudpickle" or "dill" says who is to write it; without it dill writes what cloudpickle
    cannot.

    Raises:
        SerializationError: naming the function, what it refers to that cannot be carried, and what to do.
    """
    from funcledger_payloads.values import write_code

    name = _name_of(function)
    _check_callable(function, name)
    try:
        body, code, stateful, definition = write_code(function, serializer)
    except SerializationError as error:
        raise SerializationError(f"the function {name} cannot be sent: {error}") from error.__cause__
    needed = imports_of(function)
    head = {
        "name": name,
        "python": PYTHON,
        "code": code,
        "stateful": stateful,
        "source": source_of(function),
        "imports": needed[0] if needed else None,
        "constants": needed[1] if needed else None,
    }
    return _pack(head, body, (name, definition))


def _check_callable(function: Any, name: str) -> None:
    if not callable(function):
        raise SerializationError(f"{name} cannot be called, so it cannot be run elsewhere")
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        raise SerializationError(
            f"the function {name} yields, and a generator cannot be sent back: have it return a list"
        )


def is_fixed(function: Any) -> bool:
    """Whether it is one thing under one name for ever, so that nothing of it needs to be looked at again."""
    if isinstance(function, BuiltinFunctionType):
        return is_installed(function.__module__) and not hasattr(function.__self__, "__dict__")
    return isinstance(function, FunctionType | type) and has_a_name(function)


def dump_source(source: str, name: str) -> FunctionPayload:
    """A function of which only the source is given; it runs under any version that can compile it.

    Raises:
        SerializationError: the source does not compile here.
    """
    try:
        compile(source, f"<source of {name}>", "exec", dont_inherit=True)
    except (SyntaxError, ValueError) as error:
        raise SerializationError(f"the source of {name} does not compile: {error}") from error
    said = {"name": name, "python": PYTHON, "code": None, "stateful": True}
    return _pack({**said, "source": source, "imports": {}}, b"", name)


def load_function(payload: bytes) -> Callable[..., Any]:
    """The function in this payload, ready to be called; see :func:`open_function`."""
    return open_function(payload).call


def open_function(payload: bytes) -> OpenedFunction:
    """The function in this payload.

    Raises:
        VersionMismatch: its code is of another Python, and was not opened; its source does not stand alone.
        DeserializationError: it cannot be read here, for instance for want of a module.
    """
    head, body = read_head(payload)
    name = head["name"]
    stateful = bool(head.get("stateful", True))
    if body:
        try:
            container.check_readable(head["code"], f"the function {name}")
        except VersionMismatch as mismatch:
            return OpenedFunction(_from_source(head, mismatch), stateful)
        return OpenedFunction(_from_code(name, head, body), stateful)
    return OpenedFunction(_from_source(head, None), stateful)


def _from_source(head: dict[str, Any], mismatch: VersionMismatch | None) -> Callable[..., Any]:
    if head.get("imports") is None or head.get("source") is None:
        if mismatch is None:
            raise DeserializationError(f"{head['name']} has neither code nor source that stands alone")
        raise VersionMismatch(f"{mismatch} (its source does not stand alone)")
    try:
        # Of a function that was defined elsewhere nobody evaluates annotations, which may name what is there.
        constants, annotated = head.get("constants") or {}, mismatch is None
        return function_from(head["source"], head["name"], head["imports"], constants, annotated=annotated)
    except BaseException as error:
        why = f"{type(error).__name__}: {error}"
        if mismatch is None:
            raise DeserializationError(f"the source of {head['name']} cannot be run here: {why}") from error
        raise VersionMismatch(f"{mismatch} (its source cannot be run here: {why})") from error


def _from_code(name: str, head: dict[str, Any], body: bytes) -> Callable[..., Any]:
    from funcledger_payloads.values import opened

    try:
        function = opened(head["code"], body, f"the function {name}")
    except DeserializationError as error:
        raise DeserializationError(str(error)) from error.__cause__
    if not callable(function):
        raise DeserializationError(f"{name} is a {type(function).__name__}, not a function")
    return function  # type: ignore[no-any-return]


def read_head(payload: bytes) -> tuple[dict[str, Any], bytes]:
    """What a function's payload says of itself, without opening it, and its body.

    A head of `function/1` is given as one of `function/2`.

    Raises:
        DeserializationError: it is neither.
    """
    head, body = container.unseal(payload, "a function")
    if not (isinstance(head.get("name"), str) and isinstance(head.get("python"), str)):
        raise DeserializationError(
            f"these {len(payload)} bytes are not a function: a field is missing or of the wrong type"
        )
    if "code" not in head:
        minor = ".".join(head["python"].split(".")[:2])
        by_value = body and not head.get("reference")
        head["code"] = f"cpython-{minor} dill-{head.get('dill', '0')}" if by_value else None
    return head, body


def _pack(head: dict[str, Any], body: bytes, definition: Hashable) -> FunctionPayload:
    payload = container.seal(head | {"size": len(body)}, body)
    code = head["code"]
    return FunctionPayload(
        head["name"],
        head["python"],
        code,
        code.rpartition(" dill-")[2] if code and " dill-" in code else "",
        head["source"],
        payload,
        hashlib.sha256(payload).hexdigest(),
        definition,
    )


def _name_of(function: Any) -> str:
    return str(getattr(function, "__name__", None) or type(function).__name__)
