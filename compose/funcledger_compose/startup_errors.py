"""What keeps a server from starting, in one sentence with what to do."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2

from funcledger_compose.data_dir import DataDirError
from funcledger_event_log.port import LogError, LogFull
from funcledger_event_log.sqlite.room import RESERVE, room
from funcledger_read_models.port import StoreError

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_REFUSED = (errno.EACCES, errno.EPERM, errno.EROFS, errno.EIO)


@contextmanager
def startup_errors(directory: Path) -> Iterator[None]:
    """Tell what is raised in here, and is a matter of the machine and not of the program.

    Raises:
        DataDirError: with a sentence for whoever has started the server on this data directory.
    """
    try:
        yield
    except (LogError, StoreError, OSError, httpx2.HTTPError) as error:
        if (sentence := _sentence(error, directory)) is None:
            raise
        raise DataDirError(sentence) from error


def _sentence(error: Exception, directory: Path) -> str | None:
    """What to say; None where it is no matter of the machine."""
    number = getattr(error, "errno", None)
    # SQLite tells of a lack of space in many ways, such as a file that cannot be opened.
    if isinstance(error, LogFull) or number in _FULL or _is_full(directory):
        return (
            f"the disk of {directory} is full, and nothing was lost. Make room and start again, or name "
            "another directory with --data-dir."
        )
    if isinstance(error, OSError):
        if number not in _REFUSED:
            return None
        return f"{error.filename or directory} cannot be used: {error.strerror}. See to that and start again."
    return str(error) if isinstance(error, LogError | StoreError) else None


def _is_full(directory: Path) -> bool:
    try:
        return room(directory) < RESERVE
    except OSError:
        return False
