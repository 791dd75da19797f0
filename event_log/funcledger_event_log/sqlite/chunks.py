"""Consecutive records of one partition as one blob, the form in which they are stored."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple
from zlib import crc32

import msgspec

from funcledger_event_log.records import Record
from funcledger_event_log.sqlite.errors import damaged
from funcledger_schemas.envelope import Headers

#: A chunk is cut at so many records or bytes, so that reading a single record stays cheap.
CHUNK_RECORDS = 64
CHUNK_BYTES = 64 * 1024


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


#: Headers by number, then per record its key, the numbers of its headers, and its value.
_Body = tuple[list[tuple[str, bytes]], list[bytes], list[list[int]], list[bytes | tuple[int, int]]]

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(_Body).decode


def cut(records: Sequence[Record]) -> Iterator[Sequence[Record]]:
    """The records in chunks."""
    start = size = 0
    for index, record in enumerate(records):
        if index > start and (index - start >= CHUNK_RECORDS or size >= CHUNK_BYTES):
            yield records[start:index]
            start, size = index, 0
        size += len(record.value)
    yield records[start:]


def pack(records: Sequence[Record], place: Callable[[bytes], bytes | Address]) -> bytes:
    """The records as a blob, with what ``place`` makes of their values.

    Headers are numbered and stored once, as most are the same in all records of a chunk.
    """
    numbers: defaultdict[tuple[str, bytes], int] = defaultdict()
    numbers.default_factory = numbers.__len__
    headers = [list(map(numbers.__getitem__, record.headers)) for record in records]
    keys = [record.key for record in records]
    body = _encode((list(numbers), keys, headers, [place(record.value) for record in records]))
    return crc32(body).to_bytes(4, "big") + body


def unpack(blob: bytes) -> list[Entry]:
    """The entries in a blob.

    Raises:
        LogCorrupt: its checksum says that it is not what was written.
    """
    body = memoryview(blob)[4:]
    if crc32(body) != int.from_bytes(blob[:4], "big"):
        raise damaged("the log", f"a chunk of {len(blob)} bytes does not fit its checksum")
    shared, keys, numbers, values = _decode(body)
    return [
        Entry(
            key, tuple(map(shared.__getitem__, headers)), value if type(value) is bytes else Address(*value)
        )
        for key, headers, value in zip(keys, numbers, values, strict=True)
    ]
