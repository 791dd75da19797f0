"""Data as bytes and back: pickle where it does; code by value in a container that says who can read it.

cloudpickle writes code, and dill what cloudpickle cannot write, or where it was chosen; JSON where data is to
be read by other languages.
"""

import io
import pickle  # payloads are opened by the SDK and the endpoint's workers alone (law 10)
import signal
import threading
from collections.abc import Callable
from json import dumps as write_json
from json import loads as read_json
from pickle import dumps, loads  # those that there are now: a call may put others in their places
from types import FunctionType
from typing import Any

from funcledger_payloads import container
from funcledger_payloads.errors import DeserializationError, SerializationError
from funcledger_payloads.installed import has_a_name

PROTOCOL = 5
#: Byte of pickle's instruction to look up a name: what has none holds plain data alone.
_LOOK_UP = b"\x93"


def dump(value: Any, serializer: str | None = None) -> tuple[str, bytes]:
    """The value as (format, bytes).

    ``serializer`` "cloudpickle" or "dill" says who is to write code; without it dill writes what cloudpickle
    cannot.

    Raises:
        SerializationError: it cannot be written, or must not travel; the message says what and why.
    """
    try:
        payload = dumps(value, PROTOCOL)
        if _LOOK_UP not in payload:
            return "pickle", payload
        _Plain(io.BytesIO(), PROTOCOL, buffer_callback=_ignore).dump(value)
    except KeyboardInterrupt:
        raise
    except BaseException:  # whatever a user's __reduce__ raises, SystemExit too: by value it may still do
        return _dump_code(value, serializer)
    return "pickle", payload


def _ignore(_: object) -> None:
    """A buffer that need not be copied to see what is around it."""


class _HoldsCode(Exception):
    """Something that cannot travel by its name."""


class _Plain(pickle.Pickler):
    """Goes through a value as pickle does, to find code of the user's that pickle would only name."""

    def reducer_override(self, obj: Any) -> Any:
        if (isinstance(obj, type) or type(obj) is FunctionType) and not (
            obj.__module__ == "builtins" or has_a_name(obj)
        ):
            raise _HoldsCode
        return NotImplemented


def _dump_code(value: Any, serializer: str | None) -> tuple[str, bytes]:
    try:
        payload, code = write_code(value, serializer)[:2]
    except SerializationError as error:
        raise SerializationError(f"a {type(value).__qualname__} cannot be serialised: {error}") from error
    if code is None:
        return "pickle", payload
    return container.VALUE, container.seal({"code": code}, payload)


def write_code(value: Any, serializer: str | None = None) -> tuple[bytes, str | None, bool, Any]:
    """A value with the code it holds: bytes, who can read them (None: any Python), whether calls may change
    what they hold, and what stays the same while only data in it changes.

    Raises:
        SerializationError: what is wrong, and where.
    """
    from funcledger_payloads import by_value
    from funcledger_payloads.refusals import Refused, where_it_fails

    try:
        if serializer == "dill":
            return _write_by_dill(value)
        written = by_value.write(value)
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        if serializer is None and not isinstance(error, Refused):
            try:
                return _write_by_dill(value)
            except KeyboardInterrupt:
                raise
            except BaseException:  # noqa: S110  # what cloudpickle said is nearer to the point
                pass
        where, inner = where_it_fails(value, error, by_value.write)
        raise SerializationError(
            f"{where.removeprefix(', ')}{': ' if where else ''}{_said(inner)}{_remedy(inner)}"
        ) from error
    code = container.made_by("cloudpickle", by_value.VERSION) if written.holds_code else None
    return written.payload, code, written.stateful, written.definition


def _write_by_dill(value: Any) -> tuple[bytes, str | None, bool, Any]:
    from funcledger_payloads import with_dill

    payload, definition = with_dill.write(value)
    return payload, container.made_by("dill", with_dill.VERSION), True, definition


def dump_json(value: Any) -> tuple[str, bytes]:
    """The value as ("json", bytes), for those who want data that other languages read.

    Raises:
        SerializationError: JSON cannot say it.
    """
    try:
        return "json", write_json(value, separators=(",", ":"), allow_nan=False).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise SerializationError(f"a {type(value).__qualname__} cannot be said in JSON: {error}") from error


def load(payload_format: str, payload: bytes, name: str = "a payload", of: str = "") -> Any:
    """What one of the dumps wrote; errors call it by its ``name``, and by whose it is.

    Whatever happens while it is opened is an error of this value alone.

    Raises:
        VersionMismatch: it holds code of another Python; it was not opened.
        DeserializationError: the bytes cannot be read here, or the format is not known.
    """
    if payload_format == "pickle" and _LOOK_UP not in payload:  # most are; plain data runs nothing
        try:
            return loads(payload)  # noqa: S301
        except Exception as error:
            what = f"{name}{of and ' ' + of} (pickle, {len(payload)} bytes)"
            raise DeserializationError(f"{what} cannot be read here: {_reason(error)}") from error
    what = f"{name}{of and ' ' + of} ({payload_format}, {len(payload)} bytes)"
    if payload_format == "pickle":
        return _open(loads, payload, what)
    if payload_format == "json":
        return _open(read_json, payload, what)
    if payload_format == container.VALUE:
        head, body = container.unseal(payload)
        container.check_readable(head["code"], what)
        return opened(head["code"], body, what)
    if payload_format == "dill":  # of a release that did not say which Python had made it
        return opened("dill-", payload, what)
    raise DeserializationError(
        f"unknown payload format {payload_format!r}: pickle, {container.VALUE}, dill and json are known"
    )


def opened(code: str | None, body: bytes, what: str) -> Any:
    """What the serialiser that ``code`` names has written, once it is known that it can be read here.

    Raises:
        DeserializationError: it cannot be read.
    """
    if code is None:
        return _open(loads, body, what)
    if "dill-" in code:
        from funcledger_payloads import with_dill

        return _open(with_dill.read, body, what)
    from funcledger_payloads import by_value

    return _open(by_value.read, body, what)


def _open(read: Callable[[bytes], Any], payload: bytes, what: str) -> Any:
    interrupts = _UsersInterrupts()
    try:
        if _LOOK_UP not in payload:
            return read(payload)
        with interrupts:
            return read(payload)
    except BaseException as error:  # SystemExit too: it would end the program, or the thread that reads
        if interrupts.came and isinstance(error, KeyboardInterrupt):
            raise
        raise DeserializationError(f"{what} cannot be read here: {_reason(error)}") from error


class _UsersInterrupts:
    """Knows Ctrl-C from a KeyboardInterrupt that a value raises while it is opened."""

    def __init__(self) -> None:
        self.came = False
        self._handler: Any = None

    def __enter__(self) -> None:
        if threading.current_thread() is threading.main_thread():
            handler = signal.getsignal(signal.SIGINT)
            if callable(handler):
                self._handler = handler
                signal.signal(signal.SIGINT, self._note)

    def __exit__(self, *_: object) -> None:
        if self._handler is not None:
            signal.signal(signal.SIGINT, self._handler)

    def _note(self, number: int, frame: Any) -> Any:
        self.came = True
        return self._handler(number, frame)


def _remedy(error: BaseException) -> str:
    """What to do about what Python itself says that it cannot pickle."""
    unknown = isinstance(error, TypeError) and "pickle" in _said(error)
    return ": make it inside the function, or send what it is made of" if unknown else ""


def _reason(error: BaseException) -> str:
    if isinstance(error, ModuleNotFoundError) and error.name:
        return f"the module {error.name!r} is not installed here"
    return _said(error)


def _said(error: BaseException) -> str:
    if isinstance(error, SerializationError):
        return str(error)
    try:
        return f"{type(error).__name__}: {error}"
    except BaseException:  # a user's __str__ may do anything
        return type(error).__name__
