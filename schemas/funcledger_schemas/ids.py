"""Identifiers: version 7 UUIDs (RFC 9562), which sort by the time they were made."""

import re
from collections.abc import Sequence
from functools import lru_cache
from threading import Lock

from funcledger_schemas import clock

_FORM = r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
_UUID = re.compile(_FORM)
_UUIDS = re.compile(rf"(?:{_FORM} )*+")
_SPACED = 37

#: The digit of the variant (10 in its two high bits) for each random digit.
_VARIANT = dict(zip("0123456789abcdef", "89ab" * 4, strict=True))

#: Every value of 12 bits as three digits.
_COUNTS = tuple(f"{number:03x}" for number in range(1 << 12))


def new_id() -> str:
    """A fresh version 7 UUID: 48 bits of Unix milliseconds, then 74 random bits."""
    now = clock.current()
    chance = now.random_bytes(10).hex()
    head = _head(now.time_ns() // 1_000_000)
    return f"{head}{chance[:3]}-{_VARIANT[chance[3]]}{chance[4:7]}-{chance[7:19]}"


class OrderedIds:
    """Fresh version 7 UUIDs that sort in the order in which this object makes them; safe to use from threads.

    As RFC 9562 has it: a counter in the 12 bits behind the milliseconds, which run ahead when it is full and
    when the clock goes back; then 62 random bits.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._last = 0

    def new_id(self) -> str:
        """The next one."""
        now = clock.current()
        chance = now.random_bytes(8).hex()
        place = now.time_ns() // 1_000_000 << 12
        with self._lock:
            if place <= self._last:
                place = self._last + 1
            self._last = place
        return f"{_head(place >> 12)}{_COUNTS[place & 0xFFF]}-{_VARIANT[chance[0]]}{chance[1:4]}-{chance[4:]}"


@lru_cache(64)
def _head(millis: int) -> str:
    """The time, and the version's digit."""
    text = millis.to_bytes(6, "big").hex()
    return f"{text[:8]}-{text[8:]}-7"


def is_id(text: str) -> bool:
    """Whether ``text`` is a UUID in its 36-character lower-case form."""
    return _UUID.fullmatch(text) is not None


def no_id(texts: Sequence[str]) -> int | None:
    """The place of the first text that is no id, None where all are; the price is one look at all of them."""
    joined = "".join([f"{text} " for text in texts])
    # As many ids as texts: one that holds two, and so a space, does not make up for another.
    if len(joined) == _SPACED * len(texts) and _UUIDS.fullmatch(joined):
        return None
    return next(at for at, text in enumerate(texts) if not is_id(text))
