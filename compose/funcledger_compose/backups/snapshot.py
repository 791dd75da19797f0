"""One moment of a SQLite file that other processes go on writing, copied from outside."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from funcledger_compose.files import sync

#: Pages copied between looks for an interrupt.
_PAGES = 1024


@contextmanager
def snapshot(path: Path) -> Iterator[sqlite3.Connection]:
    """A connection that sees all that was committed when it began and nothing that comes after.

    Readers of a write-ahead log never wait for the writer, nor the writer for them; but while one reads,
    the write-ahead log keeps all that it may still need. Nothing is changed in the database.

    Raises:
        sqlite3.Error: it cannot be read.
    """
    source = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None)
    try:
        source.execute("BEGIN")
        # The first read takes the snapshot.
        source.execute("SELECT count(*) FROM sqlite_schema").fetchone()
        yield source
    finally:
        source.close()


def copy_database(source: sqlite3.Connection, target: Path) -> None:
    """Write what a snapshot sees into a new file that only its owner may read; on the disk when it returns.

    Raises:
        sqlite3.Error, OSError: it cannot be read or written.
    """
    os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    copy = sqlite3.connect(target, isolation_level=None)
    try:
        # A copy that fails is thrown away, so it needs no journal, and one sync at the end is enough.
        copy.execute("PRAGMA journal_mode = OFF")
        copy.execute("PRAGMA synchronous = OFF")
        # The source keeps its own read transaction, so that writers never make the copy begin anew.
        source.backup(copy, pages=_PAGES, progress=lambda *_: None)
    finally:
        copy.close()
    sync(target)
