"""Arguments of a call as bytes; one that cannot be serialised is named."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from funcledger_payloads.errors import SerializationError
from funcledger_payloads.values import dump

Dump = Callable[[Any], tuple[str, bytes]]
_DEPTH = 4
_BREADTH = 1000


def dump_arguments(
    args: Sequence[Any], kwargs: Mapping[str, Any], dump_value: Dump = dump
) -> tuple[str, bytes]:
    """``(args, kwargs)`` as (format, bytes).

    Raises:
        SerializationError: naming the argument, by position or keyword, and where inside it.
    """
    try:
        return dump_value((tuple(args), dict(kwargs)))
    except SerializationError as error:
        raise _named(args, kwargs, dump_value) or error from error.__cause__


def _named(args: Sequence[Any], kwargs: Mapping[str, Any], dump_value: Dump) -> SerializationError | None:
    named = [(f"argument {number}", value) for number, value in enumerate(args, 1)]
    named += [(f"argument {name!r}", value) for name, value in kwargs.items()]
    for name, value in named:
        error = _error_of(value, dump_value)
        if error is not None:
            path, inner = _innermost(value, error, dump_value)
            where = f" (at {path})" if path else ""
            return SerializationError(f"{name}{where} cannot be sent: {inner}")
    return None


def _error_of(value: Any, dump_value: Dump) -> SerializationError | None:
    try:
        dump_value(value)
    except SerializationError as error:
        return error
    return None


def _innermost(value: Any, error: SerializationError, dump_value: Dump) -> tuple[str, SerializationError]:
    """The path to the smallest part that fails, and how it fails."""
    path = ""
    for _ in range(_DEPTH):
        for step, part in _parts(value):
            inner = _error_of(part, dump_value)
            if inner is not None:
                path, value, error = path + step, part, inner
                break
        else:
            break
    return path, error


def _parts(value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping) and len(value) <= _BREADTH:
        yield from ((f"[{key!r}]", part) for key, part in value.items())
    elif isinstance(value, list | tuple) and len(value) <= _BREADTH:
        yield from ((f"[{index}]", part) for index, part in enumerate(value))
    else:
        yield from ((f".{name}", part) for name, part in getattr(value, "__dict__", {}).items())
