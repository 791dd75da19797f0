"""Identifiers: version 7 UUIDs (RFC 9562), which sort by the time they were made."""

import re
from collections.abc import Sequence
from functools import lru_cache

from funcledger_schemas import clock

_FORM = r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
_UUID = re.compile(_FORM)
_UUIDS = re.compile(rf"(?:{_FORM} )*+")
_SPACED = 37

#: The digit of the variant (10 in its two high bits) for each random digit.
_VARIANT = dict(zip("0123456789abcdef", "89ab" * 4, strict=True))


def new_id() -> str:
    """A fresh version 7 UUID: 48 bits of Unix milliseconds, then 74 random bits."""
    now = clock.current()
    chance = now.random_bytes(10).hex()
    head = _head(now.time_ns() // 1_000_000)
    return f"{head}{chance[:3]}-{_VARIANT[chance[3]]}{chance[4:7]}-{chance[7:19]}"


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
