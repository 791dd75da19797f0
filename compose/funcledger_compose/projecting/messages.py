"""What a server and its projector's process say to each other over two pipes."""

import asyncio
from collections.abc import AsyncIterator
from typing import Literal

import msgspec

from funcledger_schemas.frames import Splitter, delimit

_READ = 1 << 16


class Moved(msgspec.Struct, tag=True):
    """Server: partitions have got so far: topic, number, and the offset after the last record of each."""

    ends: list[tuple[str, int, int]]


class Hurry(msgspec.Struct, tag=True):
    """Server: somebody waits for the read models, or nobody does any more."""

    wanted: bool


class Append(msgspec.Struct, tag=True):
    """Projector: append these. Per record its topic, partition, key, headers and value."""

    number: int
    records: list[tuple[str, int, bytes, list[tuple[str, bytes]], bytes]]


class Appended(msgspec.Struct, tag=True):
    """Server: what became of an :class:`Append`: each record's position, or what was wrong."""

    number: int
    positions: list[tuple[str, int, int]] = []
    wrong: Literal["", "unavailable", "unknown"] = ""
    why: str = ""


class Begun(msgspec.Struct, tag=True):
    """Projector: it has begun to follow."""


class Saved(msgspec.Struct, tag=True):
    """Projector: so many documents were saved, which took so many seconds."""

    documents: int
    seconds: float


class Stopped(msgspec.Struct, tag=True):
    """Projector: it has stopped for good, since to go on would be to skip."""

    why: str


Message = Moved | Hurry | Append | Appended | Begun | Saved | Stopped
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Message).decode


def say(writer: asyncio.StreamWriter, message: Message) -> None:
    """Have the message sent; nothing happens where nobody listens any more."""
    if not writer.is_closing():
        writer.write(delimit(_encode(message)))


async def heard(reader: asyncio.StreamReader) -> AsyncIterator[Message]:
    """Every message until the other side has gone."""
    splitter = Splitter()
    while data := await reader.read(_READ):
        for frame in splitter.feed(data):
            yield _decode(frame)
