"""The append-only file of large values, each written once and synced before the commit that refers to it."""

import os
from collections.abc import Sequence
from pathlib import Path
from zlib import crc32

from funcledger_event_log.sqlite.chunks import Address
from funcledger_event_log.sqlite.errors import damaged

#: Values over this size stand here and not in the database.
LARGE = 64 * 1024
#: Bytes of a large value that nearly always hold all of it but the payload.
HEAD = 16 * 1024
#: So many of the newest bytes stay in the system's cache. Who reads older ones reads the disk; kept, they
#: would push out everything else, and on a virtual machine a fresh page costs ten times what a used one does.
CACHED = 64 * 1024 * 1024


class Segment:
    """One file, written by the writer's thread alone and read from any."""

    def __init__(self, path: Path, file: int, end: int) -> None:
        """``file`` is its descriptor, ``end`` where the next value goes; see :meth:`open`."""
        self._path = path
        self._file = file
        self.end = end
        self.syncs = 0
        self._let_gone = end

    @classmethod
    def beside(cls, path: Path) -> "Segment":
        """The file of a running server, to read from.

        Raises:
            OSError: it cannot be opened.
        """
        return cls(path, os.open(path, os.O_RDONLY | os.O_CLOEXEC), 0)

    @classmethod
    def open(cls, path: Path, end: int) -> "Segment":
        """Open the file, of which the database knows ``end`` bytes; what a crash left behind them goes.

        Raises:
            LogCorrupt: it is shorter than that.
        """
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        size = os.fstat(file).st_size
        if size < end:
            os.close(file)
            raise damaged(path, f"it has {size} bytes, {end} were written")
        os.ftruncate(file, end)
        return cls(path, file, end)

    def append(self, values: Sequence[bytes]) -> None:
        """Write the values one after another at the end, and return once they are on the disk.

        Raises:
            OSError: it failed; :meth:`rewind` gives back what was written.
        """
        at = self.end
        for value in values:
            at = self._write(value, at)
        self.syncs += 1
        os.fdatasync(self._file)
        self.end = at
        self._let_go(at - CACHED)

    def _let_go(self, end: int) -> None:
        """What stands before ``end`` need not stay in memory; a mebibyte or more at a time."""
        if end - self._let_gone >= 1 << 20 and hasattr(os, "posix_fadvise"):
            os.posix_fadvise(self._file, self._let_gone, end - self._let_gone, os.POSIX_FADV_DONTNEED)
            self._let_gone = end

    def _write(self, value: bytes, at: int) -> int:
        left = memoryview(value)
        while left:
            written = os.pwrite(self._file, left, at)
            left, at = left[written:], at + written
        return at

    def rewind(self, end: int) -> None:
        """Give back what was written after ``end``: nothing will refer to it."""
        os.ftruncate(self._file, end)
        self.end = end

    def read(self, address: Address) -> bytes:
        """The value that stands there.

        Raises:
            LogCorrupt: the file ends before it does, or holds something else there.
        """
        value = os.pread(self._file, address.size, address.at)
        if len(value) != address.size:
            raise damaged(self._path, f"it ends before the value at {address.at} does")
        self._check(value, address, address.checksum)
        return value

    def head(self, address: Address) -> bytes:
        """The beginning of the value that stands there; all of it is read where that cannot be checked alone.

        Raises:
            LogCorrupt: as :meth:`read`.
        """
        if address.head_checksum is None:
            return self.read(address)[:HEAD]
        value = os.pread(self._file, min(address.size, HEAD), address.at)
        self._check(value, address, address.head_checksum)
        return value

    def _check(self, value: bytes, address: Address, checksum: int | None) -> None:
        if checksum is not None and crc32(value) != checksum:
            raise damaged(
                self._path, f"the {len(value)} bytes at {address.at} are not those that were written"
            )

    def close(self) -> None:
        """Let go of the file."""
        os.close(self._file)
