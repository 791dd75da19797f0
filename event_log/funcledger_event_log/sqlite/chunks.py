"""Consecutive records of one partition as one blob, the form in which they are stored."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple
from zlib import crc32

import msgspec

from funcledger_event_log.sqlite.errors import damaged
from funcledger_schemas.envelope import Headers

#: A chunk is cut at so many records or bytes, so that reading a single record stays cheap.
CHUNK_RECORDS = 64
CHUNK_BYTES = 64 * 1024

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder().decode


class Address(NamedTuple):
    """Where a large value stands in the segment."""

    at: int
    size: int


class Entry(NamedTuple):
    """A record without what its chunk knows: position and time."""

    key: bytes
    headers: Headers
    #: The bytes, or where they are.
    value: bytes | Address


def cut(entries: Sequence[Entry]) -> Iterator[Sequence[Entry]]:
    """The entries in chunks."""
    start = size = 0
    for index, entry in enumerate(entries):
        if index > start and (index - start >= CHUNK_RECORDS or size >= CHUNK_BYTES):
            yield entries[start:index]
            start, size = index, 0
        if isinstance(entry.value, bytes):
            size += len(entry.value)
    yield entries[start:]


def pack(entries: Sequence[Entry]) -> bytes:
    """The entries as a blob. Headers that several of them share are stored once."""
    shared: dict[tuple[str, bytes], int] = {}
    rows = [
        (key, [shared.setdefault(header, len(shared)) for header in headers], value)
        for key, headers, value in entries
    ]
    body = _encode((list(shared), rows))
    return crc32(body).to_bytes(4, "big") + body


def unpack(blob: bytes) -> list[Entry]:
    """The entries in a blob.

    Raises:
        LogCorrupt: its checksum says that it is not what was written.
    """
    body = memoryview(blob)[4:]
    if crc32(body) != int.from_bytes(blob[:4], "big"):
        raise damaged("the log", f"a chunk of {len(blob)} bytes does not fit its checksum")
    listed, rows = _decode(body)
    shared = [(name, value) for name, value in listed]
    return [
        Entry(key, tuple([shared[at] for at in headers]), value if type(value) is bytes else Address(*value))
        for key, headers, value in rows
    ]
