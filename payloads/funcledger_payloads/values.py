"""Data as bytes and back: pickle where it does, dill where it does not, JSON where that is asked for."""

import json
import pickle  # payloads are opened by the SDK and the endpoint's workers alone (law 10)
from typing import Any

from funcledger_payloads.errors import DeserializationError, SerializationError

PROTOCOL = 5
_MAIN = b"__main__"


def dump(value: Any) -> tuple[str, bytes]:
    """The value as (format, bytes).

    Raises:
        SerializationError: neither pickle nor dill can.
    """
    try:
        payload = pickle.dumps(value, PROTOCOL)
    except Exception:  # whatever a user's __reduce__ raises: dill may still do
        return _dump_by_value(value)
    # A reference into the user's script means nothing elsewhere. Text that merely mentions
    # it also goes to dill, which gives the same value back.
    return _dump_by_value(value) if _MAIN in payload else ("pickle", payload)


def _dump_by_value(value: Any) -> tuple[str, bytes]:
    from funcledger_payloads import by_value

    try:
        return "dill", by_value.dumps(value)
    except Exception as error:
        raise SerializationError(f"a {type(value).__qualname__} cannot be serialised: {error}") from error


def dump_json(value: Any) -> tuple[str, bytes]:
    """The value as ("json", bytes), for those who want data that other languages read.

    Raises:
        SerializationError: JSON cannot say it.
    """
    try:
        return "json", json.dumps(value, separators=(",", ":"), allow_nan=False).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise SerializationError(f"a {type(value).__qualname__} cannot be said in JSON: {error}") from error


def load(payload_format: str, payload: bytes) -> Any:
    """What one of the dumps wrote.

    Raises:
        DeserializationError: the bytes cannot be read here, or the format is not known.
    """
    try:
        if payload_format == "pickle":
            return pickle.loads(payload)  # noqa: S301
        if payload_format == "dill":
            from funcledger_payloads import by_value

            return by_value.loads(payload)
        if payload_format == "json":
            return json.loads(payload)
    except Exception as error:
        raise DeserializationError(
            f"a payload ({payload_format}, {len(payload)} bytes) cannot be read here: {_reason(error)}"
        ) from error
    raise DeserializationError(f"unknown payload format {payload_format!r}: pickle, dill and json are known")


def _reason(error: Exception) -> str:
    if isinstance(error, ModuleNotFoundError) and error.name:
        return f"the module {error.name!r} is not installed here"
    return f"{type(error).__name__}: {error}"
