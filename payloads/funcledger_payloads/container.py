"""The head by which bytes that hold code say who can read them, so that nobody else opens them.

Layout of `code/1`, `call/1` and `function/2`: length of the head (4 bytes, big-endian), the head as a JSON
object, the body. The head's ``code`` is null, or names implementation, minor version and serialiser of what
the body holds by value: ``cpython-3.11 cloudpickle-3.1.1``. Nothing else is needed to refuse it.
"""

import re
import sys
from functools import cache
from json import JSONDecoder, JSONEncoder
from typing import Any

from funcledger_payloads.errors import DeserializationError, VersionMismatch

#: A value that holds code; a call that brings its function as it is now; a function.
VALUE, CALL, FUNCTION = "code/1", "call/1", "function/2"
_WITH_HEAD = frozenset({VALUE, CALL, FUNCTION})
#: The Python that runs here, as heads have it.
HERE = f"{sys.implementation.name}-{sys.version_info.major}.{sys.version_info.minor}"
PYTHON = ".".join(str(part) for part in sys.version_info[:3])
#: Made once, and not looked up for each head: a call may put something else in the place of `json.dumps`.
_write, _read = JSONEncoder(separators=(",", ":")).encode, JSONDecoder().decode
_CODE = re.compile(r"(\w+-\d+\.\d+) (\w+)-([0-9A-Za-z.+_-]+)")
REMEDY = (
    "run both sides under the same minor version of Python, or send plain data and a function whose source "
    "stands alone"
)


def made_by(serialiser: str, version: str) -> str:
    """What a head says of code that this serialiser has written here."""
    return f"{HERE} {serialiser}-{version}"


def seal(head: dict[str, Any], *body: bytes) -> bytes:
    """Head and body as bytes."""
    text = _write(head).encode()
    return b"".join((len(text).to_bytes(4, "big"), text, *body))


def unseal(payload: bytes, what: str = "a payload with a head") -> tuple[dict[str, Any], bytes]:
    """Head and body; nothing of the body is opened.

    Raises:
        DeserializationError: it has no such head.
    """
    end = 4 + int.from_bytes(payload[:4], "big")
    try:
        head = _read(payload[4:end].decode())
        if not isinstance(head, dict) or not isinstance(head.get("code"), str | None):
            raise TypeError("its head is not an object, or does not say by whom its code was made")
    except (ValueError, TypeError, RecursionError) as error:
        raise DeserializationError(f"these {len(payload)} bytes are not {what}: {error}") from error
    return head, payload[end:]


def code_of(payload_format: str, payload: bytes) -> str | None:
    """Who can read the code in a payload, as its head says; None where it holds none, or does not say."""
    return unseal(payload)[0].get("code") if payload_format in _WITH_HEAD else None


def check_readable(code: str | None, what: str) -> None:
    """Refuse what was made by another Python, or by a serialiser that is not here.

    Raises:
        VersionMismatch: naming both versions and what to do.
    """
    if code is None:
        return
    named = _CODE.fullmatch(code)
    if named is None:
        raise VersionMismatch(f"{what} holds code, and says of its Python no more than {code!r}: {REMEDY}")
    python, serialiser, version = named.groups()
    if python != HERE:
        raise VersionMismatch(
            f"{what} holds code that {_spoken(python)} ({serialiser} {version}) made, "
            f"and this is {_spoken(HERE)}: {REMEDY}"
        )
    here = _version_here(serialiser)
    if here is None:
        raise VersionMismatch(
            f"{what} holds code that {serialiser} {version} wrote, and {serialiser} is not installed here "
            f"({_spoken(HERE)}): install it"
        )
    if here.partition(".")[0] != version.partition(".")[0]:
        raise VersionMismatch(
            f"{what} holds code that {serialiser} {version} wrote, and here is {serialiser} {here}: "
            "install the same major version on both sides"
        )


def _spoken(python: str) -> str:
    implementation, _, version = python.partition("-")
    return f"{'Python' if implementation == 'cpython' else implementation} {version}"


@cache
def _version_here(serialiser: str) -> str | None:
    from importlib import metadata  # slow to import, and only code by value asks

    try:
        return metadata.version(serialiser) if serialiser in ("cloudpickle", "dill") else None
    except metadata.PackageNotFoundError:
        return None
