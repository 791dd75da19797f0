"""Checkpoints move what was committed from the write-ahead log into the database without stalling commits."""

import logging
import sqlite3
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing

from funcledger_event_log.sqlite.database import Database

_log = logging.getLogger(__name__)

#: A checkpoint begins when about so many bytes were written since the last.
EVERY_BYTES = 8 * 1024 * 1024
#: Commits wait for the checkpoint when it has fallen this far behind, so that the file stays bounded.
BEHIND_BYTES = 64 * 1024 * 1024
#: What one commit writes at least: a page or two of the write-ahead log.
_COMMIT_BYTES = 8 * 1024
#: A checkpoint syncs the write-ahead log and the database, and the log begins anew with a synced header.
_SYNCS = 3


class Checkpoints:
    """The bulk is moved by a thread of its own while commits go on; the writer moves the little that is left.

    Only with nothing left does SQLite begin the write-ahead log anew, so under a constant load the
    thread alone would never be done and the file would grow without end.
    """

    def __init__(self, database: Database, writer: sqlite3.Connection) -> None:
        self._database = database
        self._writer = writer
        self._since = 0
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="log checkpoints")
        self._bulk: Future[None] | None = None
        self.syncs = 0

    def committed(self, size: int) -> None:
        """The writer has committed about so many bytes; called in its thread, after it has told everybody."""
        self._since += size + _COMMIT_BYTES
        if self._bulk is None:
            if self._since >= EVERY_BYTES:
                self._bulk = self._thread.submit(self._move_bulk)
        elif self._bulk.done() or self._since >= BEHIND_BYTES:
            self._finish(self._bulk)

    def _move_bulk(self) -> None:
        with closing(self._database.writer()) as connection:
            _checkpoint(connection)

    def _finish(self, bulk: Future[None]) -> None:
        self._bulk = None
        self._since = 0
        self.syncs += 2 * _SYNCS
        try:
            bulk.result()
            _checkpoint(self._writer)
        except sqlite3.Error as error:
            # Nothing is lost: all of it stays in the write-ahead log until a checkpoint succeeds.
            _log.warning("the log's checkpoint failed and will be tried again: %s", error)

    def close(self) -> None:
        """Wait for the thread."""
        self._thread.shutdown()


def _checkpoint(connection: sqlite3.Connection) -> None:
    connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
