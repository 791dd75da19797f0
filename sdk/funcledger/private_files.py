"""Files and directories that only their owner may read: one that is open to others is closed, or refused."""

import contextlib
import os
import stat
import warnings
from pathlib import Path

from funcledger.errors import PermissionDenied

_OTHERS = 0o077


def read_private(path: Path) -> str:
    """The text of a file that holds a secret, without white space around it.

    Raises:
        PermissionDenied: others may read it, and that cannot be changed.
        OSError: it cannot be read.
    """
    with path.open() as file:
        if _close_to_others(path, file.fileno(), 0o600):
            _warn(f"{path} was readable by others; it is now 0600. Make a new secret if it was seen.")
        return file.read().strip()


def keep_directory_private(path: Path) -> None:
    """Let nobody but its owner into a directory that holds secrets.

    Raises:
        PermissionDenied: others may enter it, and that cannot be changed.
        OSError: it cannot be opened.
    """
    directory = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        if _close_to_others(path, directory, 0o700):
            _warn(f"{path} was open to others; it is now 0700.")
    finally:
        os.close(directory)


def _close_to_others(path: Path, descriptor: int, wanted: int) -> bool:
    """Take it away from group and others; whether it was theirs."""
    before = _mode(descriptor)
    if not before & _OTHERS:
        return False
    with contextlib.suppress(OSError):  # the next look tells whether it worked
        os.fchmod(descriptor, wanted)
    if _mode(descriptor) & _OTHERS:  # some file systems take the call and keep no modes
        raise PermissionDenied(
            f"{path} is readable by others (mode {before:04o}), and this user or this file system cannot "
            f"change that. Have its owner run: chmod {wanted:o} {path}"
        )
    return True


def _mode(descriptor: int) -> int:
    return stat.S_IMODE(os.fstat(descriptor).st_mode)


def _warn(sentence: str) -> None:
    warnings.warn(sentence, stacklevel=4)
