"""How much the log's files can still grow, so that a full disk is known before an append fails."""

import contextlib
import os
import resource
from pathlib import Path

#: With less room than this, in bytes, the log is not ready: about what one record can take.
RESERVE = 4 * 1024 * 1024


def room(directory: Path) -> int:
    """Bytes that the disk has left for us; fewer where the system bounds our files (``RLIMIT_FSIZE``)."""
    disk = os.statvfs(directory)
    free = disk.f_bavail * disk.f_frsize
    limit, _ = resource.getrlimit(resource.RLIMIT_FSIZE)
    return free if limit == resource.RLIM_INFINITY else min(free, limit - _largest(directory))


def _largest(directory: Path) -> int:
    largest = 0
    for file in directory.iterdir():
        with contextlib.suppress(FileNotFoundError):  # SQLite makes and removes files of its own
            largest = max(largest, file.stat().st_size)
    return largest
