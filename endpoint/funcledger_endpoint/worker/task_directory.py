"""The directory that a call begins in: empty, and of its own as far as the call can tell."""

import contextlib
import os
from os import fchdir  # before calls of it are watched
from pathlib import Path

from funcledger_endpoint.local.directories import Keep, kept_name, remove_tree
from funcledger_endpoint.worker.descriptors import close_own, own

_NEVER_CHANGED = (0, 0)


class TaskDirectory:
    """One that calls have left as it was serves the next call too; the name of another is not used again.

    To make and remove one costs some 100 µs, to see that nothing was left in it 1.3 µs, by the times that the
    system notes when an entry is made or removed.
    """

    def __init__(self, parent: Path, keep: Keep) -> None:
        """``parent`` is this worker's own, and is made where it is missing."""
        self._parent, self._keep = parent, keep
        self._number = 0
        self._fd = -1
        self._path: Path
        self._as_made: tuple[int, ...] = ()
        self.enter_new()

    def enter_new(self) -> None:
        """Make one and go there.

        Raises:
            OSError: it cannot be made.
        """
        self._number += 1
        self._path = self._parent / str(self._number)
        self._path.mkdir(mode=0o700, parents=True)
        close_own(self._fd)
        self._fd = own(os.open(self._path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC))
        # A time that no change of it can have: the system's may stand still for 10 ms.
        os.utime(self._fd, ns=_NEVER_CHANGED)
        self._as_made = self._seen()
        fchdir(self._fd)

    def _seen(self) -> tuple[int, ...]:
        about = os.fstat(self._fd)
        return about.st_mtime_ns, about.st_ctime_ns, about.st_mode, about.st_nlink

    @property
    def used(self) -> bool:
        """Whether something was made in it, or it was removed, moved or closed."""
        try:
            return self._seen() != self._as_made
        except OSError:
            return True

    def return_to(self) -> None:
        """Go back there."""
        fchdir(self._fd)

    def leave(self, call: int, *, failed: bool) -> None:
        """Keep it for the agent to put away by the number of the call, or remove it; then enter a new one.

        Raises:
            OSError: no new one can be made.
        """
        if self._keep == "always" or (failed and self._keep == "on-failure"):
            with contextlib.suppress(OSError):  # the call has removed it
                self._path.rename(self._parent / kept_name(call))
        else:
            remove_tree(self._path)
        self.enter_new()
