"""The file the read models stand in: how it is opened, laid out, and refused when it is not ours."""

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from funcledger_read_models.documents import MODELS
from funcledger_read_models.port import StoreError, StoreUnavailable
from funcledger_read_models.sqlite.statements import layout

#: Says in SQLite's header that a file holds our read models ("flrm").
APPLICATION_ID = 0x666C726D
#: Raised whenever documents or tables change shape: a file of another format is made anew from the log.
FORMAT = 6
#: Statements kept compiled: a few sizes for each model and verb.
_CACHED = 512
#: A file up to this size, in bytes, is checked whole when it is opened, which takes a moment.
_CHECKED = 64 * 1024 * 1024
_DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
_TUNING = (
    "PRAGMA page_size = 8192",
    "PRAGMA busy_timeout = 5000",
    "PRAGMA journal_mode = WAL",
    # What a power cut takes is read again from the log, so a commit need not wait for the disk.
    "PRAGMA synchronous = NORMAL",
    # Pages written again and again are copied into the file once in 64 MB, and with two syncs each time.
    "PRAGMA wal_autocheckpoint = 8000",
    "PRAGMA journal_size_limit = 67108864",
)
#: Pages kept by a connection, in KiB. New documents lie together, and the system keeps the file's pages too.
WRITER_CACHE, READER_CACHE = 32_768, 8_192


class UnusableFile(StoreError):
    """Raised when a file cannot be used as read models; the message says what to do."""


class WornFile(UnusableFile):
    """Raised for read models that are damaged or another version's: all they held is in the log."""


def connect(path: Path, cache: int) -> sqlite3.Connection:
    """A tuned connection in autocommit mode, for use by one thread at a time; ``cache`` in KiB."""
    connection = sqlite3.connect(
        path, isolation_level=None, check_same_thread=False, cached_statements=_CACHED
    )
    try:
        for pragma in (*_TUNING, f"PRAGMA cache_size = -{cache}"):
            connection.execute(pragma)
    except BaseException:
        connection.close()
        raise
    return connection


@contextlib.contextmanager
def translated(path: Path) -> Iterator[None]:
    """What sqlite3 raises in here, in the port's words.

    Raises:
        WornFile: the file is damaged.
        StoreUnavailable: anything else that a second try may cure: a full disk, a lock held too long.
    """
    try:
        yield
    except sqlite3.Error as error:
        if getattr(error, "sqlite_errorcode", 0) & 0xFF in _DAMAGED:
            raise WornFile(_advice(path, f"is damaged or not a database ({error})")) from error
        raise StoreUnavailable(f"the read models at {path} cannot be used just now: {error}") from error


def prepare(connection: sqlite3.Connection, path: Path) -> None:
    """Lay out an empty file, or check that this one is in our format.

    Raises:
        UnusableFile: it is somebody else's.
        WornFile: it is another version's, or damaged.
    """
    application_id, version = _marks(connection)
    if not application_id and not connection.execute("SELECT 1 FROM sqlite_schema").fetchone():
        _lay_out(connection)
    elif application_id != APPLICATION_ID:
        raise UnusableFile(f"{path} is a database of some other program; name another file")
    elif version != FORMAT:
        raise WornFile(_advice(path, f"has format {version}, this version reads format {FORMAT}"))
    elif path.stat().st_size <= _CHECKED:
        (found,) = connection.execute("PRAGMA quick_check(1)").fetchone()
        if found != "ok":
            raise WornFile(_advice(path, f"is damaged ({' '.join(found.split())})"))


def _marks(connection: sqlite3.Connection) -> tuple[int, int]:
    """Whose file it is, and in which format."""
    (application_id,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    return application_id, version


def positions_in(path: Path) -> dict[tuple[str, int], int]:
    """What the read models in a file reflect that nobody has open, all of it read and found whole.

    Raises:
        UnusableFile: they are of no use to this version.
    """
    with translated(path):
        connection = sqlite3.connect(f"{path.absolute().as_uri()}?immutable=1", uri=True)
        with contextlib.closing(connection):
            (found,) = connection.execute("PRAGMA integrity_check(1)").fetchone()
            if found != "ok" or _marks(connection) != (APPLICATION_ID, FORMAT):
                raise WornFile(_advice(path, "is damaged or of another version"))
            return read_positions(connection)


def read_positions(connection: sqlite3.Connection) -> dict[tuple[str, int], int]:
    """The positions stored, as this connection sees them."""
    rows = connection.execute("SELECT topic, partition, offset FROM positions").fetchall()
    return {(topic, partition): offset for topic, partition, offset in rows}


def discard(path: Path) -> None:
    """Delete a file of read models, with what SQLite keeps beside it. Nobody may have it open."""
    for name in (path.name, f"{path.name}-wal", f"{path.name}-shm"):
        path.with_name(name).unlink(missing_ok=True)


def _lay_out(connection: sqlite3.Connection) -> None:
    statements = [statement for model in MODELS for statement in layout(model)]
    connection.executescript(
        ";\n".join(
            (
                "BEGIN IMMEDIATE",
                *statements,
                "CREATE TABLE positions (topic TEXT, partition INTEGER, offset INTEGER NOT NULL,"
                " PRIMARY KEY (topic, partition)) WITHOUT ROWID",
                f"PRAGMA application_id = {APPLICATION_ID}",
                f"PRAGMA user_version = {FORMAT}",
                "COMMIT",
            )
        )
    )


def _advice(path: Path, problem: str) -> str:
    return (
        f"{path} {problem}. Delete it, with {path.name}-wal and {path.name}-shm: it is rebuilt from the log"
    )
