"""Reads the files of an embedded log as docs/decisions/0006 describes them: chunks, and values beside."""

import os
import sqlite3
import zlib
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import msgpack
from tests.chaos.auditor.facts import Damaged, Raw

_OFFSET_BITS = 40


def records(directory: Path) -> Iterator[Raw]:
    """Every record of the log in this directory, partition by partition, in order.

    Raises:
        Damaged: a gap, a checksum that does not fit, or a value that is not there.
    """
    database = f"file:{directory / 'log.db'}?mode=ro"
    with (
        closing(sqlite3.connect(database, uri=True)) as connection,
        (directory / "log.values").open("rb") as values,
    ):
        partitions = connection.execute(
            "SELECT id, topic, partition FROM partitions ORDER BY topic, partition"
        )
        for number, topic, partition in partitions.fetchall():
            yield from _partition(connection, values.fileno(), number, topic, partition)


def _partition(
    connection: sqlite3.Connection, values: int, number: int, topic: str, partition: int
) -> Iterator[Raw]:
    first = number << _OFFSET_BITS
    chunks = connection.execute(
        "SELECT id, records, timestamp, checksum, body FROM chunks WHERE id >= ? AND id < ? ORDER BY id",
        (first, (number + 1) << _OFFSET_BITS),
    )
    expected = 0
    for chunk, count, timestamp, checksum, body in chunks:
        where = f"{topic}/{partition}:{chunk - first}"
        if chunk - first != expected:
            raise Damaged(f"a gap: {topic}/{partition} goes from {expected} to {chunk - first}")
        if zlib.crc32(body, zlib.crc32(f"{chunk} {count} {timestamp}".encode())) != checksum:
            raise Damaged(f"the chunk at {where} does not fit its checksum")
        heads, keys, numbers, named, stored = msgpack.unpackb(body, strict_map_key=False)
        if len(stored) != count:
            raise Damaged(f"the chunk at {where} holds {len(stored)} records, not {count}")
        for index, (number, key, value) in enumerate(zip(numbers, named, stored, strict=True)):
            dataschema, headers = heads[number]
            written = tuple((name, content) for name, content in headers)
            whole = value if isinstance(value, bytes) else _beside(values, where, *value)
            yield Raw(topic, partition, expected + index, timestamp, keys[key], written, whole, dataschema)
        expected += count


def _beside(
    values: int, where: str, at: int, size: int, checksum: int | None = None, of_head: int | None = None
) -> bytes:
    found = os.pread(values, size, at)
    if len(found) != size:
        raise Damaged(f"a value of the chunk at {where} is not in log.values: {len(found)} of {size} bytes")
    if checksum is not None and zlib.crc32(found) != checksum:
        raise Damaged(f"a value of the chunk at {where} does not fit its checksum")
    if of_head is not None and zlib.crc32(found[: 16 * 1024]) != of_head:
        raise Damaged(f"the beginning of a value of the chunk at {where} does not fit its checksum")
    return found
