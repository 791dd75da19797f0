"""All that an open log holds of its directory: the lock, the files and the threads that work on them."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from funcledger_event_log.port import LogCorrupt, LogError
from funcledger_event_log.sqlite.checkpoints import Checkpoints
from funcledger_event_log.sqlite.database import Database
from funcledger_event_log.sqlite.lock import DirectoryLock
from funcledger_event_log.sqlite.readers import Readers
from funcledger_event_log.sqlite.requests import Request
from funcledger_event_log.sqlite.segment import Segment
from funcledger_event_log.sqlite.writer import Deliver, Writer


class Storage:
    """Opens everything in order, and closes it the other way round."""

    def __init__(self, directory: Path) -> None:
        """Open or make the files.

        Raises:
            LogInUse, LogCorrupt, OSError: as :meth:`SqliteLog.open` says.
        """
        self.directory = directory
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._lock = DirectoryLock(directory)
        try:
            self._database = Database(directory)
            self._segment = Segment.open(self._database.segment_path, self._database.segment_end)
        except BaseException:
            self._lock.release()
            raise
        _sync(directory)
        self.partitions = self._database.partitions
        self.readers = Readers(self._database, self._segment, damage=self._database.damage)
        self._connection = self._database.writer()
        self._checkpoints = Checkpoints(self._database, self._connection)

    def begin(self, deliver: Deliver) -> None:
        """Start the writer, which tells ``deliver`` what it has done."""
        self._writer = Writer(self._connection, self._segment, self.partitions, self._checkpoints, deliver)

    @property
    def fsyncs(self) -> int:
        """Syncs of the disk so far."""
        return self._writer.commits + self._segment.syncs + self._checkpoints.syncs

    @property
    def failure(self) -> LogError | None:
        """Why the last group could not be written; None when it was."""
        return self._writer.failure

    @property
    def damage(self) -> LogCorrupt | None:
        """What was found damaged, when it was opened or since; None while all that was read is whole."""
        return self.readers.damage

    @property
    def broken(self) -> bool:
        """Whether nothing can be written any more."""
        return self._writer.broken

    def submit(self, requests: Sequence[Request[Any]]) -> None:
        """Have them written."""
        self._writer.submit(requests)

    def close(self) -> None:
        """Write what was submitted, then let go of everything."""
        self._writer.close()
        self._checkpoints.close()
        self.readers.close()
        self._connection.close()
        self._segment.close()
        self._lock.release()


def _sync(directory: Path) -> None:
    """Have the names of new files survive a power cut too."""
    file = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(file)
    finally:
        os.close(file)
