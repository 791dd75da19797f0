"""What can be wrong with a log on disk, and what SQLite's and the system's errors mean for an append."""

import errno
import sqlite3
from pathlib import Path

from funcledger_event_log.port import LogCorrupt, LogError, LogFull, LogUnavailable, OutcomeUnknown

#: Primary codes are the low byte of SQLite's extended ones.
_PRIMARY = 0xFF
_NOT_NOW = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_NOMEM}
_NOT_READABLE = _NOT_NOW | {
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_PERM,
    sqlite3.SQLITE_READONLY,
}
_NO_SPACE = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


#: What reading a database raises; where its bytes are wrong, even SQLite's message may not be text.
READ_ERRORS = (sqlite3.Error, UnicodeDecodeError)


class LogInUse(LogError):
    """Raised when another process has the log open."""


def of_write(error: Exception) -> LogError:
    """What a failed transaction means to those who wait for it.

    A write that fails leaves no valid commit in the write-ahead log, so nothing was written; nor was it
    when the segment could not be written, which comes before. After a commit's failed sync nobody can know.
    """
    code = getattr(error, "sqlite_errorcode", None)
    if (
        code in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_WRITE)
        or getattr(error, "errno", None) in _NO_SPACE
    ):
        return LogFull(f"no space left for the log, nothing was written: {error}")
    if isinstance(error, OSError) or (code is not None and code & _PRIMARY in _NOT_NOW):
        return LogUnavailable(f"the log cannot be written just now: {error}")
    return OutcomeUnknown(f"the log failed while it was written, restart the server: {error!r}")


def of_read(error: Exception, path: Path) -> LogError:
    """What a failed read means: that the database is damaged, unless the system kept us from it."""
    code = getattr(error, "sqlite_errorcode", None)
    if code is not None and code & _PRIMARY in _NOT_READABLE:
        return LogUnavailable(f"{path} cannot be read just now: {error}")
    return damaged(path, error)


def damaged(what: object, why: object) -> LogCorrupt:
    """The log was ours and is not whole any more."""
    return LogCorrupt(
        f"{what} is damaged ({why}). Stop, and put back a backup of the whole directory; "
        "to begin with an empty log instead, move the directory away."
    )
