"""A few numbers in memory shared by the agent and one worker, so that neither has to ask the other.

Before each call the worker writes which one it is (``begun``) and then reads ``limit``; it skips a call
whose number is over it. So the agent takes back what has not begun by lowering the limit, giving that a
moment to be seen, and reading ``begun``: whatever is above it will not run.

A task can write here too: what is read is believed only as far as it can be true (``account``). On Linux it
cannot change the size, which would end the agent by a SIGBUS; other systems have no seals, so there it can.
"""

import fcntl
import mmap
import os
import sys
import tempfile

_SIZE = mmap.PAGESIZE
_BEGUN, _BEGUN_AT, _LIMIT = 0, 1, 2
#: The limit while nothing is held back.
NO_LIMIT = 2**62


class Cell:
    """The numbers; each is one aligned machine word, so it is never seen half written."""

    def __init__(self, fd: int) -> None:
        self._map = mmap.mmap(fd, _SIZE)
        self._words = memoryview(self._map).cast("q")

    @classmethod
    def create(cls) -> tuple["Cell", int]:
        """A fresh cell, and the descriptor by which a worker opens it too."""
        if sys.platform == "linux":
            fd = os.memfd_create("funcledger-cell", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
            os.ftruncate(fd, _SIZE)
            fcntl.fcntl(fd, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL)
        else:
            fd, path = tempfile.mkstemp()
            os.unlink(path)
            os.ftruncate(fd, _SIZE)
        cell = cls(fd)
        cell.limit = NO_LIMIT
        return cell, fd

    def begin(self, number: int, now: int) -> bool:
        """The worker's side: say that this call begins now (monotonic ns); whether it may."""
        words = self._words
        words[_BEGUN_AT] = now
        words[_BEGUN] = number
        return number <= words[_LIMIT]

    @property
    def begun(self) -> int:
        """The number of the call begun last, 0 before the first."""
        return self._words[_BEGUN]

    @property
    def begun_at(self) -> int:
        """When it began, in nanoseconds of the machine's monotonic clock."""
        return self._words[_BEGUN_AT]

    @property
    def limit(self) -> int:
        """The highest number that may begin."""
        return self._words[_LIMIT]

    @limit.setter
    def limit(self, number: int) -> None:
        self._words[_LIMIT] = number

    def close(self) -> None:
        """Let go of the memory."""
        self._words.release()
        self._map.close()
