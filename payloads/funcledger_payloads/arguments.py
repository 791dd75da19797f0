"""Arguments of a call as bytes, alone or with the function as it is now; one that cannot be sent is named."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from funcledger_payloads import container
from funcledger_payloads.errors import DeserializationError, SerializationError
from funcledger_payloads.refusals import where_it_fails
from funcledger_payloads.values import dump

Dump = Callable[[Any], tuple[str, bytes]]


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
        try:
            dump_value(value)
        except SerializationError as error:
            path, inner = where_it_fails(value, error, dump_value)
            where = f" (at {path})" if path else ""
            return SerializationError(f"{name}{where} cannot be sent: {inner}")
    return None


def with_function(function: bytes, payload_format: str, payload: bytes) -> tuple[str, bytes]:
    """Arguments together with their function as it is now, in place of the one that was registered."""
    head = {
        "code": container.unseal(function)[0]["code"],
        "function_size": len(function),
        "payload_format": payload_format,
    }
    return container.CALL, container.seal(head, function, payload)


def apart(payload: bytes) -> tuple[bytes, str, bytes]:
    """What :func:`with_function` has joined: the function, the format of the arguments, and these.

    Raises:
        DeserializationError: it is no such payload.
    """
    head, body = container.unseal(payload, "a call with its function")
    size, payload_format = head.get("function_size"), head.get("payload_format")
    if not isinstance(size, int) or not isinstance(payload_format, str) or not 0 <= size <= len(body):
        raise DeserializationError(f"these {len(payload)} bytes are not a call with its function")
    return body[:size], payload_format, body[size:]
