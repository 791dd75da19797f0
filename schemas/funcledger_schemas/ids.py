"""Identifiers: version 7 UUIDs (RFC 9562), which sort by the time they were made."""

import re

from funcledger_schemas import clock

_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\Z")


def new_id() -> str:
    """A fresh version 7 UUID: 48 bits of Unix milliseconds, then 74 random bits."""
    now = clock.current()
    text = (
        ((now.time_ns() // 1_000_000) << 80 | int.from_bytes(now.random_bytes(10), "big"))
        .to_bytes(16, "big")
        .hex()
    )
    variant = "89ab"[int(text[16], 16) & 3]
    return f"{text[:8]}-{text[8:12]}-7{text[13:16]}-{variant}{text[17:20]}-{text[20:]}"


def is_id(text: str) -> bool:
    """Whether ``text`` is a UUID in its 36-character lower-case form."""
    return _UUID.match(text) is not None
