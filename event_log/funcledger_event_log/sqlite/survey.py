"""Reads a log that nobody writes from end to end, and says what is in it or where it is damaged."""

import hashlib
import os
import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from zlib import crc32

import msgspec

from funcledger_event_log.records import DecodeError, TopicPartition
from funcledger_event_log.sqlite.chunks import Address, Entry, Row, unpack
from funcledger_event_log.sqlite.database import (
    DATABASE,
    OFFSET_BITS,
    VALUES,
    check_format,
    values_end,
)
from funcledger_event_log.sqlite.errors import READ_ERRORS, damaged, of_read
from funcledger_schemas import envelope

_CHUNKS = "SELECT id, records, timestamp, checksum, body FROM chunks ORDER BY id"


@dataclass
class Survey:
    """What a log holds; all of it was read and is as its checksums and hashes say."""

    #: Records by topic.
    records: Counter[str] = field(default_factory=Counter)
    #: Per partition, the offset after its last record.
    ends: dict[TopicPartition, int] = field(default_factory=dict)
    #: Large values, which stand in a file of their own.
    values: int = 0
    #: Large values whose record no reader of today can decode; nothing says what they should be.
    undecoded: int = 0


def survey(directory: Path) -> Survey:
    """Read the whole log in this directory, a chunk at a time. No server may have it open.

    Raises:
        LogCorrupt: what is there is not a log of ours, or not what was written; the message says where.
        LogUnavailable, OSError: the system does not let us read it.
    """
    path = directory / DATABASE
    try:
        with closing(_opened(path)) as connection, (directory / VALUES).open("rb", 0) as values:
            check_format(connection, path)
            (found,) = connection.execute("PRAGMA integrity_check(1)").fetchone()
            if found != "ok":
                raise damaged(path, found)
            return _Walk(path, values.fileno(), connection).survey()
    except READ_ERRORS as error:
        raise of_read(error, path) from error


def _opened(path: Path) -> sqlite3.Connection:
    # Immutable: nothing is made beside a file that may be on a medium that cannot be written.
    return sqlite3.connect(f"{path.absolute().as_uri()}?immutable=1", uri=True, isolation_level=None)


class _Walk:
    """One pass over every chunk."""

    def __init__(self, path: Path, values: int, connection: sqlite3.Connection) -> None:
        self._path, self._values, self._connection = path, values, connection
        self._values_path = path.with_name(VALUES)
        self._values_end = values_end(connection)
        self._survey = Survey()

    def survey(self) -> Survey:
        """Everything that is there, checked."""
        rows = self._connection.execute("SELECT id, topic, partition FROM partitions").fetchall()
        names = {number: TopicPartition(topic, partition) for number, topic, partition in rows}
        self._survey.ends = dict.fromkeys(names.values(), 0)
        for found in self._connection.execute(_CHUNKS):
            row = Row(*found).verify()
            where = names.get(row.id >> OFFSET_BITS)
            if where is None:
                raise damaged(self._path, f"chunk {row.id:#x} is of no partition")
            self._take(where, row)
        return self._survey

    def _take(self, where: TopicPartition, row: Row) -> None:
        survey, first = self._survey, row.id & ((1 << OFFSET_BITS) - 1)
        if first != survey.ends[where]:
            raise damaged(self._path, f"offset {survey.ends[where]} of {where} is missing")
        with self._place(where, first):
            entries = unpack(row.body)
        if len(entries) != row.records:
            raise damaged(self._path, f"the chunk at {where}@{first} holds {len(entries)} records")
        for offset, entry in enumerate(entries, first):
            if isinstance(entry.value, Address):
                self._check_value(f"{where.topic}/{where.partition}@{offset}", entry, entry.value)
        survey.records[where.topic] += row.records
        survey.ends[where] += row.records

    @contextmanager
    def _place(self, where: TopicPartition, first: int) -> Iterator[None]:
        try:
            yield
        except (msgspec.DecodeError, IndexError, TypeError, ValueError) as error:
            raise damaged(self._path, f"the chunk at {where}@{first} cannot be read: {error}") from error

    def _check_value(self, where: str, entry: Entry, address: Address) -> None:
        """See that a large value is there, and that its payload is what its event says it is."""
        value = os.pread(self._values, address.size, address.at)
        if len(value) != address.size or address.at + address.size > self._values_end:
            raise damaged(self._values_path, f"it ends before the value of {where} does")
        if address.checksum not in (None, crc32(value)):
            raise damaged(self._values_path, f"the value of {where} does not fit its checksum")
        self._survey.values += 1
        try:
            event = envelope.unseal(entry.head, value)
        except DecodeError:
            self._survey.undecoded += 1
            return
        payload: bytes = getattr(event, "payload", b"")
        # An erased payload leaves its size and hash behind.
        if payload and hashlib.sha256(payload).hexdigest() != getattr(event, "payload_sha256", None):
            raise damaged(self._values_path, f"the payload of {where} does not fit its SHA-256")
