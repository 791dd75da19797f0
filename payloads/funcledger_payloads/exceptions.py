"""Exceptions that travel: the original type where it can be carried, its text in any case."""

import traceback
from dataclasses import astuple, dataclass
from types import TracebackType
from typing import Any, cast

from funcledger_payloads.errors import (
    DeserializationError,
    RemoteTraceback,
    SerializationError,
    TaskExecutionFailed,
    VersionMismatch,
)
from funcledger_payloads.values import dump, load

#: Most a traceback's text may take, in bytes; the middle of a longer one is left out.
TRACEBACK_LIMIT = 64 * 1024
_MESSAGE_LIMIT = 4096
_OWN_FRAMES = ("funcledger_endpoint", "funcledger_payloads")


@dataclass(slots=True, frozen=True)
class ExceptionPayload:
    """An exception on its way; ``format`` is None, ``payload`` empty where it cannot travel as itself."""

    error_type: str
    message: str
    traceback: str
    format: str | None
    payload: bytes


def dump_exception(error: BaseException, room: int = TRACEBACK_LIMIT) -> ExceptionPayload:
    """The exception as it travels. Never raises.

    What is not an Exception (SystemExit, KeyboardInterrupt) carries no payload: raised as itself
    it would end the user's session. ``room`` is what its traceback's text may take, in bytes.
    """
    carried = _carry(error, room) if isinstance(error, Exception) else None
    payload_format, payload = carried or (None, b"")
    trace = _traceback(error, room)
    return ExceptionPayload(type_name(type(error)), _text(error), trace, payload_format, payload)


def load_exception(sent: ExceptionPayload) -> Exception:
    """The exception to raise here, with the remote traceback as its cause. Never raises."""
    try:
        error = load(sent.format, sent.payload) if sent.format else None
        unread = ""
        if issubclass(type(error), Exception):
            BaseException.__setattr__(error, "__cause__", _cause(sent))
            return cast("Exception", error)
    except (DeserializationError, VersionMismatch) as why:
        unread = str(why)
    substitute = _substitute(sent, unread)
    substitute.__cause__ = _cause(sent)
    return substitute


def _cause(sent: ExceptionPayload) -> RemoteTraceback | None:
    return RemoteTraceback(sent.traceback) if sent.traceback else None


def _substitute(sent: ExceptionPayload, unread: str) -> TaskExecutionFailed:
    text = f"{sent.error_type}: {sent.message}" if sent.message else sent.error_type
    error = TaskExecutionFailed(f"{text}\n({unread})" if unread else text)
    error.error_type, error.remote_traceback = sent.error_type, sent.traceback
    return error


def type_name(kind: type) -> str:
    """The type's name as a traceback prints it."""
    module = kind.__module__
    return kind.__qualname__ if module in ("builtins", "__main__") else f"{module}.{kind.__qualname__}"


def _carry(error: Exception, room: int) -> tuple[str, bytes] | None:
    """The exception as bytes that do load: many fail only then, when __init__ gets other arguments."""
    if isinstance(error, ExceptionGroup):
        return _carry_group(error, room)
    for form in (error, _Rebuilt(type(error), error.args, vars(error))):
        try:
            payload_format, payload = dump(form)
            if type_name(type(load(payload_format, payload))) == type_name(type(error)):
                return payload_format, payload
        except (SerializationError, DeserializationError, VersionMismatch):
            continue
    return None


def _carry_group(error: ExceptionGroup[Exception], room: int) -> tuple[str, bytes] | None:
    """A group as bytes in which each member travels for itself, so that one that cannot spoils no other."""
    try:
        return dump(_Group(error, room))
    except (SerializationError, RecursionError):
        return None


class _Rebuilt:
    """Stands for an exception in a payload: it loads as one made without its __init__."""

    def __init__(self, kind: type[Exception], args: tuple[Any, ...], state: dict[str, Any]) -> None:
        self._parts = (kind, args, dict(state))

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, self._parts


def _rebuild(kind: type[Exception], args: tuple[Any, ...], state: dict[str, Any]) -> Exception:
    error = kind.__new__(kind, *args)
    error.args = args
    error.__dict__.update(state)
    return error


class _Group:
    """Stands for a group in a payload: its class, its state and each member are read by themselves."""

    def __init__(self, error: ExceptionGroup[Exception], room: int) -> None:
        share = room // len(error.exceptions)
        members = [astuple(dump_exception(each, share)) for each in error.exceptions]
        name = type_name(type(error))
        self._parts = (name, _dumped(type(error)), error.message, members, _dumped(vars(error)))

    def __reduce__(self) -> tuple[Any, ...]:
        return _regroup, self._parts


def _regroup(name: str, kind: Any, message: str, members: list[Any], state: Any) -> ExceptionGroup[Exception]:
    loaded = [load_exception(ExceptionPayload(*member)) for member in members]
    found = _loaded(kind)
    known = isinstance(found, type) and issubclass(found, ExceptionGroup)
    error: ExceptionGroup[Exception] = ExceptionGroup.__new__(
        found if known else ExceptionGroup, message, loaded
    )
    error.__dict__.update(_loaded(state) or {})
    if not known:
        error.add_note(f"It was raised as {name}, which cannot be had here.")
    return error


def _dumped(value: Any) -> tuple[str, bytes] | None:
    try:
        return dump(value)
    except SerializationError:
        return None


def _loaded(carried: tuple[str, bytes] | None) -> Any:
    try:
        return None if carried is None else load(*carried)
    except (DeserializationError, VersionMismatch):
        return None


def _text(error: BaseException) -> str:
    try:
        return str(error)[:_MESSAGE_LIMIT]
    except Exception as why:  # a user's __str__ may do anything
        return f"<its text cannot be had: {type(why).__name__}>"


def _traceback(error: BaseException, limit: int) -> str:
    """The traceback from the user's own first frame on, at most about ``limit`` bytes."""
    try:
        text = "".join(traceback.format_exception(type(error), error, _users_part(error.__traceback__)))
    except Exception as why:  # formatting asks for str() and repr() of the user's objects
        text = f"<the traceback cannot be printed: {type(why).__name__}>\n"
    return cut(text, limit)


def _users_part(frames: TracebackType | None) -> TracebackType | None:
    start = frames
    while start and _is_ours(start.tb_frame.f_globals):
        start = start.tb_next
    return start or frames


def _is_ours(module: dict[str, Any]) -> bool:
    name = module.get("__package__") or module.get("__name__")
    return str(name).startswith(_OWN_FRAMES)


def cut(text: str, limit: int = TRACEBACK_LIMIT) -> str:
    """The text, its middle left out where it is over the limit, in bytes."""
    data = text.encode(errors="replace")
    if len(data) <= limit:
        return data.decode()
    half = max(limit - 64, 128) // 2
    left_out = len(data) - 2 * half
    return (
        data[:half].decode(errors="ignore")
        + f"\n... {left_out} bytes left out ...\n"
        + data[-half:].decode(errors="ignore")
    )
