"""The SQLite file: its format, how connections to it are opened, and what is in it when the log opens."""

import logging
import sqlite3
from contextlib import closing
from pathlib import Path

from funcledger_event_log.port import LogCorrupt
from funcledger_event_log.records import TopicPartition
from funcledger_event_log.sqlite.chunks import Row
from funcledger_event_log.sqlite.errors import READ_ERRORS, damaged, of_read
from funcledger_event_log.sqlite.partitions import Partition

_log = logging.getLogger(__name__)

APPLICATION_ID = 0x66_6C_6F_67  # "flog"
#: What is written: since 2, addresses of large values carry a checksum; since 3, headers that follow from a
#: record's event are left out; since 4, addresses carry one of the value's beginning. What is read: this and
#: all before.
FORMAT = 4
#: The database, and the large values beside it.
DATABASE, VALUES = "log.db", "log.values"

#: A chunk's id is its partition's id and its first offset, so that a partition lies together in order.
OFFSET_BITS = 40

_TABLES = """
BEGIN;
CREATE TABLE partitions (
    id INTEGER PRIMARY KEY, topic TEXT NOT NULL, partition INTEGER NOT NULL, UNIQUE (topic, partition));
CREATE TABLE chunks (
    id INTEGER PRIMARY KEY, records INTEGER NOT NULL, timestamp INTEGER NOT NULL, checksum INTEGER NOT NULL,
    body BLOB NOT NULL);
CREATE TABLE consumers (
    consumer TEXT, partition INTEGER, offset INTEGER NOT NULL, metadata TEXT NOT NULL,
    PRIMARY KEY (consumer, partition)) WITHOUT ROWID;
CREATE TABLE segment (only INTEGER PRIMARY KEY CHECK (only = 1), end INTEGER NOT NULL);
INSERT INTO segment VALUES (1, 0);
PRAGMA application_id = {application_id};
PRAGMA user_version = {format};
COMMIT;
"""

_LAST_CHUNK = """
SELECT id, records, timestamp, checksum, body FROM chunks WHERE id >= ? AND id < ? ORDER BY id DESC LIMIT 1
"""

#: A database up to this size, in bytes, is checked whole when it is opened, which takes a moment;
#: of a larger one, each chunk is when it is read.
_CHECKED = 64 * 1024 * 1024


class Database:
    """The file ``log.db`` and ways to connect to it."""

    def __init__(self, directory: Path, *, ours: bool = True) -> None:
        """Open or make the file; one that is not ``ours`` is a running server's, which has looked after it.

        Raises:
            LogCorrupt: it is not a log, not whole, or written by a newer version.
            LogUnavailable: the system does not let us read it.
        """
        self.path = directory / DATABASE
        #: A chunk that is not what was written: all others can be read.
        self.damage: LogCorrupt | None = None
        self.segment_path = directory / VALUES
        if ours:
            self.path.touch(mode=0o600)
        try:
            with closing(self._connect()) as connection:
                if ours:
                    self._check(connection)
                self.partitions = _load_partitions(connection)
                self.segment_end = values_end(connection)
        except READ_ERRORS as error:
            raise of_read(error, self.path) from error

    def _connect(self) -> sqlite3.Connection:
        return sqlite3.connect(self.path, timeout=5, isolation_level=None, check_same_thread=False)

    def writer(self) -> sqlite3.Connection:
        """A connection whose commits are on the disk when they return (law 1)."""
        connection = self._connect()
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA wal_autocheckpoint = 0")
        connection.execute("PRAGMA journal_size_limit = 67108864")
        connection.execute("PRAGMA cache_size = -8192")
        return connection

    def reader(self) -> sqlite3.Connection:
        """A connection that only reads."""
        connection = self._connect()
        connection.execute("PRAGMA query_only = ON")
        return connection

    def _check(self, connection: sqlite3.Connection) -> None:
        """See that it is a log of ours, or make it one when it is new."""
        (tables,) = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
        if tables == 0:
            self._create(connection)
        version = check_format(connection, self.path)
        if self.path.stat().st_size <= _CHECKED:
            (found,) = connection.execute("PRAGMA quick_check(1)").fetchone()
            if found != "ok":
                raise damaged(self.path, found)
            self.damage = _first_damage(connection)
        if version < FORMAT:
            # From here on an older version could not read all that is written.
            connection.execute(f"PRAGMA user_version = {FORMAT}")

    def _create(self, connection: sqlite3.Connection) -> None:
        if self.segment_path.exists():
            # It is made after the tables were; so there was a log here.
            raise damaged(self.path, f"it is empty, but {self.segment_path.name} is there")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.executescript(_TABLES.format(application_id=APPLICATION_ID, format=FORMAT))


def _first_damage(connection: sqlite3.Connection) -> LogCorrupt | None:
    """What the checksums of chunks say; SQLite's own check looks at its pages, and not at what is in them."""
    try:
        for found in connection.execute("SELECT id, records, timestamp, checksum, body FROM chunks"):
            Row(*found).verify()
    except LogCorrupt as error:
        _log.error("%s", error)
        return error
    return None


def check_format(connection: sqlite3.Connection, path: Path) -> int:
    """See that a database is a log of ours, in a format that this version reads; which one.

    Raises:
        LogCorrupt: it is not; the message says what to do.
    """
    (application_id,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if application_id != APPLICATION_ID:
        raise LogCorrupt(f"{path} is not a log of funcledger; choose another directory or move it away")
    if not 1 <= version <= FORMAT:
        raise LogCorrupt(
            f"{path} has format {version}, this funcledger reads 1 to {FORMAT}: "
            "install the version that wrote it, or a newer one"
        )
    return int(version)


def values_end(connection: sqlite3.Connection) -> int:
    """How many bytes of the file of large values the log refers to, as this connection sees it."""
    (end,) = connection.execute("SELECT end FROM segment").fetchone()
    return int(end)


def chunk_id(partition_id: int, offset: int) -> int:
    """The id of the chunk that begins there."""
    return partition_id << OFFSET_BITS | offset


def _load_partitions(connection: sqlite3.Connection) -> dict[TopicPartition, Partition]:
    rows = connection.execute(
        "SELECT id, topic, partition FROM partitions ORDER BY topic, partition"
    ).fetchall()
    found = {}
    for partition_id, topic, number in rows:
        where = TopicPartition(topic, number)
        found[where] = Partition(where, partition_id, _end(connection, partition_id))
    return found


def _end(connection: sqlite3.Connection, partition_id: int) -> int:
    """The offset after the partition's last record."""
    first, beyond = chunk_id(partition_id, 0), chunk_id(partition_id + 1, 0)
    last = connection.execute(_LAST_CHUNK, (first, beyond)).fetchone()
    if last is None:
        return 0
    row = Row(*last).verify()
    return row.id - first + row.records
