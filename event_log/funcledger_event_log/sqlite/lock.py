"""The lock that keeps two servers from opening one data directory."""

import fcntl
import os
from pathlib import Path

from funcledger_event_log.sqlite.errors import LogInUse


class DirectoryLock:
    """Held from construction to :meth:`release`; the system lets go of it when the process dies."""

    def __init__(self, directory: Path) -> None:
        """Take the lock.

        Raises:
            LogInUse: somebody else holds it.
        """
        path = directory / "log.lock"
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            holder = os.pread(self._file, 20, 0).decode(errors="replace").strip() or "unknown"
            os.close(self._file)
            raise LogInUse(f"another process (pid {holder}) has the log in {directory} open") from error
        os.ftruncate(self._file, 0)
        os.pwrite(self._file, str(os.getpid()).encode(), 0)

    def release(self) -> None:
        """Let others have it."""
        os.close(self._file)
