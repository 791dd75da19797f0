"""A log file within a bound: when it is full it is put aside, and the oldest of those is forgotten."""

import os
from pathlib import Path
from threading import RLock

#: Bytes of the file from which on it is put aside, and how many of those are kept.
FULL, KEPT = 4 * 1024 * 1024, 3
_STANDARD_STREAMS = (1, 2)


class BoundedLog:
    """Appends to ``path``; older parts are ``path.1`` (the latest) to ``path.3``. Safe to use from threads.

    Where this process itself prints into the file, that goes on in the new one.
    """

    def __init__(self, path: Path, full: int = FULL, kept: int = KEPT) -> None:
        self.path = path
        self._full, self._kept = full, kept
        self._lock = RLock()
        self._file = self._open()

    def append(self, data: bytes) -> None:
        """Write at the end; what is more than fits one file goes into several."""
        with self._lock:
            while data:
                size = self.keep_within()
                data = data[os.write(self._file, data[: max(1, self._full - size)]) :]

    def keep_within(self) -> int:
        """Put the file aside if it is full, whoever has written it; bytes that are in it now."""
        with self._lock:
            size = os.fstat(self._file).st_size
            if size < self._full:
                return size
            self._put_aside()
            return 0

    def close(self) -> None:
        """Write no more."""
        os.close(self._file)

    def _open(self) -> int:
        file = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        os.fchmod(file, 0o600)  # one of an earlier release, others may read
        return file

    def _put_aside(self) -> None:
        for number in range(self._kept - 1, 0, -1):
            older = self._aside(number)
            if older.exists():
                older.replace(self._aside(number + 1))
        if self.path.exists():
            self.path.replace(self._aside(1))
        before, self._file = self._file, self._open()
        for stream in _STANDARD_STREAMS:
            if _is_same(stream, before):
                os.dup2(self._file, stream)
        os.close(before)

    def _aside(self, number: int) -> Path:
        return self.path.with_name(f"{self.path.name}.{number}")


def _is_same(descriptor: int, other: int) -> bool:
    try:
        return os.path.sameopenfile(descriptor, other)
    except OSError:  # a process may have closed its standard streams
        return False
