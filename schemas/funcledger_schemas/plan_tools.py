"""What generated plans call: the parts of Avro's binary encoding, each as quick as Python does it."""

import struct
from functools import lru_cache
from typing import Any

#: Numbers from 0 up to this are looked up.
_SHORTS = 1024
_LONGEST = 2**63
#: From here on an instant takes at least five bytes: 1970-01-01T00:02:15.
_LATE = 2**27


class Irregular(ValueError):
    """Raised for what is left to the reference."""


def irregular() -> None:
    """Leave it to the reference."""
    raise Irregular


def unsigned(number: int) -> bytes:
    """A number from 0 on, seven bits a byte, lowest first."""
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    out.append(number)
    return bytes(out)


def long(number: int) -> bytes:
    """An ``int`` or ``long``."""
    if number.__class__ is int and 8192 <= number < 1048576:  # as offsets are that no cache would hold
        bits = number << 1
        return (bits & 0x7F | (bits & 0x3F80) << 1 | (bits & 0x1FC000) << 2 | 0x8080).to_bytes(3, "little")
    return same_long(number)


def some_long(number: int) -> bytes:
    """As :func:`long`, of a number that might have been null."""
    if number.__class__ is int and 8192 <= number < 1048576:
        bits = number << 1
        spread = (bits & 0x7F) << 8 | (bits & 0x3F80) << 9 | (bits & 0x1FC000) << 10
        return (spread | 0x808002).to_bytes(4, "little")
    return b"\2" + long(number)


@lru_cache(4096, typed=True)
def same_long(number: int) -> bytes:
    """As :func:`long`, of a number that others have said as well."""
    if number.__class__ is not int or not -_LONGEST <= number < _LONGEST:
        raise Irregular
    return unsigned((number << 1) ^ (number >> 63))


def some_text(text: str) -> bytes:
    """A ``string`` that might have been null."""
    encoded = text.encode()
    return b"\2" + long(len(encoded)) + encoded


# Events come one after another, so all but the lowest 21 bits of when is the same for a second's worth.
_seconds = lru_cache(64)(unsigned)


def instant(micros: int) -> bytes:
    """As :func:`long`, of microseconds since 1970."""
    if not _LATE <= micros < _LONGEST:
        return long(micros)
    low = micros << 1
    first = low & 0x7F | (low & 0x3F80) << 1 | (low & 0x1FC000) << 2 | 0x808080
    return first.to_bytes(3, "little") + _seconds(micros >> 20)


def longer(value: bytes, at: int) -> tuple[int, int]:
    """The varint at ``at``, still zigzag, and where it ends. Those of ten bytes are left to the reference."""
    number = 0
    for shift in range(0, 63, 7):
        byte = value[at]
        at += 1
        if byte < 128:
            return number | byte << shift, at
        number |= (byte & 127) << shift
    raise Irregular


@lru_cache(64)
def read_seconds(last: bytes) -> int:
    """What the last five of eight bytes stand for, -1 when the varint does not end with them."""
    number, end = longer(last + b"\0", 0)
    return number << 21 if end == len(last) else -1


@lru_cache(4096)
def shared(text: bytes) -> str:
    """The text in these bytes, the same object each time."""
    return text.decode()


#: By the names that plans know them by, which are never those of fields.
TOOLS: dict[str, Any] = {
    "_Irregular": Irregular,
    "_booleans": (False, True),
    "_eight_bytes": struct.Struct("<BBB5s").unpack_from,
    "_double": struct.Struct("<d").pack,
    "_instant": instant,
    "_irregular": irregular,
    "_join": b"".join,
    # A run that nothing is equal to: its values are of no event, its bytes begin no field.
    "_nothing": (None, b"\xff" * 10),
    "_long": long,
    "_longer": longer,
    "_read_double": struct.Struct("<d").unpack_from,
    "_read_seconds": read_seconds,
    "_shared": shared,
    "_same_long": same_long,
    "_short": [unsigned(number << 1) for number in range(_SHORTS)],
    "_shorts": _SHORTS,
    "_some_long": some_long,
    "_some_text": some_text,
    "_truths": (b"\2\0", b"\2\1"),
}
