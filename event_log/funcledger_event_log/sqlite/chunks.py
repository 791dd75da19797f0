"""Consecutive records of one partition as one blob, the form in which they are stored."""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple
from zlib import crc32

import msgspec

from funcledger_event_log.records import Record
from funcledger_event_log.sqlite.errors import damaged
from funcledger_schemas import envelope
from funcledger_schemas.envelope import Brief, Head

#: A chunk is cut at so many records or bytes, so that reading a single record stays cheap.
CHUNK_RECORDS = 64
CHUNK_BYTES = 64 * 1024


class Address(NamedTuple):
    """Where a large value stands in the segment, its CRC-32, and that of its beginning alone.

    Format 1 of the log had neither, formats 2 and 3 not the last.
    """

    at: int
    size: int
    checksum: int | None = None
    head_checksum: int | None = None


class Entry(NamedTuple):
    """A record without what its chunk knows: position and time."""

    key: bytes
    head: Head
    #: The bytes, or where they are.
    value: bytes | Address


#: A head as it is stored: the name of the schema where the other headers follow from the event, else none,
#: and the headers that are written out.
_Head = tuple[str | None, list[tuple[str, bytes]]]
#: Heads and keys, each once, then per record the numbers of its head and its key, and its value.
_Body = tuple[list[_Head], list[bytes], list[int], list[int], list[bytes | tuple[int, ...]]]
#: As formats 1 and 2 had it: headers by number, then per record its key, its headers' numbers, and its value.
_OldBody = tuple[list[tuple[str, bytes]], list[bytes], list[list[int]], list[bytes | tuple[int, ...]]]
#: MessagePack's first byte of four items.
_OLD = 0x94

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(_Body).decode
_decode_old = msgspec.msgpack.Decoder(_OldBody).decode


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

    Heads and keys are numbered and stored once, as they are the same in most records of a chunk.
    """
    heads: dict[Head, int] = {}
    keys: dict[bytes, int] = {}
    numbers = [heads.setdefault(record.head, len(heads)) for record in records]
    named = [keys.setdefault(record.key, len(keys)) for record in records]
    values = [place(record.value) for record in records]
    return _encode(([_stored(head) for head in heads], list(keys), numbers, named, values))


def _stored(head: Head) -> tuple[str | None, envelope.Headers]:
    return (head.dataschema if isinstance(head, Brief) else None, envelope.extra_of(head))


def unpack(body: bytes) -> list[Entry]:
    """The entries in a blob."""
    if body[0] == _OLD:
        return _unpack_old(body)
    heads, keys, numbers, named, values = _decode(body)
    headed = [_head(dataschema, tuple(written)) for dataschema, written in heads]
    return [
        Entry(keys[key], headed[number], _value(value))
        for number, key, value in zip(numbers, named, values, strict=True)
    ]


def _head(dataschema: str | None, written: envelope.Headers) -> Head:
    return written if dataschema is None else Brief(dataschema, written)


def _unpack_old(body: bytes) -> list[Entry]:
    shared, keys, numbers, values = _decode_old(body)
    return [
        Entry(key, tuple(map(shared.__getitem__, headers)), _value(value))
        for key, headers, value in zip(keys, numbers, values, strict=True)
    ]


def _value(stored: bytes | tuple[int, ...]) -> bytes | Address:
    return stored if type(stored) is bytes else Address(*stored)


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
