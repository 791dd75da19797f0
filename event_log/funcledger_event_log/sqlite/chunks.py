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
    """Where a large value stands in the segment, and its CRC-32; format 1 of the log had none."""

    at: int
    size: int
    checksum: int | None = None


class Entry(NamedTuple):
    """A record without what its chunk knows: position and time."""

    key: bytes
    headers: Headers
    #: The bytes, or where they are.
    value: bytes | Address


#: Headers by number, then per record its key, the numbers of its headers, and its value.
_Body = tuple[list[tuple[str, bytes]], list[bytes], list[list[int]], list[bytes | tuple[int, ...]]]

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
    return _encode((list(numbers), keys, headers, [place(record.value) for record in records]))


def unpack(body: bytes) -> list[Entry]:
    """The entries in a blob."""
    shared, keys, numbers, values = _decode(body)
    return [
        Entry(
            key,
            tuple(map(shared.__getitem__, headers)),
            value if type(value) is bytes else Address(*value),
        )
        for key, headers, value in zip(keys, numbers, values, strict=True)
    ]


class Row(NamedTuple):
    """A chunk as it stands in its table."""

    id: int
    records: int
    #: When it was appended, in milliseconds since 1970.
    timestamp: int
    checksum: int
    body: bytes

    @classmethod
    def of(cls, chunk_id: int, records: int, timestamp: int, body: bytes) -> "Row":
        """The row, with its checksum."""
        return cls(chunk_id, records, timestamp, _checksum(chunk_id, records, timestamp, body), body)

    def verify(self) -> "Row":
        """The row itself.

        Raises:
            LogCorrupt: its checksum says that it is not what was written.
        """
        if self.checksum != _checksum(self.id, self.records, self.timestamp, self.body):
            raise damaged("the log", f"chunk {self.id:#x} does not fit its checksum")
        return self


def _checksum(chunk_id: int, records: int, timestamp: int, body: bytes) -> int:
    return crc32(body, crc32(b"%d %d %d" % (chunk_id, records, timestamp)))
