"""The embedded log: one SQLite file, a file beside it for large values, and nothing to install."""

from funcledger_event_log.sqlite.errors import LogCorrupt, LogInUse
from funcledger_event_log.sqlite.log import SqliteLog

__all__ = ["LogCorrupt", "LogInUse", "SqliteLog"]
