"""The embedded log: one SQLite file, a file beside it for large values, and nothing to install."""

from funcledger_event_log.port import LogCorrupt
from funcledger_event_log.sqlite.database import DATABASE, VALUES, values_end
from funcledger_event_log.sqlite.errors import LogInUse
from funcledger_event_log.sqlite.lock import DirectoryLock
from funcledger_event_log.sqlite.log import SqliteLog
from funcledger_event_log.sqlite.survey import Survey, survey
from funcledger_event_log.sqlite.view import SqliteView

__all__ = [
    "DATABASE",
    "VALUES",
    "DirectoryLock",
    "LogCorrupt",
    "LogInUse",
    "SqliteLog",
    "SqliteView",
    "Survey",
    "survey",
    "values_end",
]
