"""Read models in one SQLite file: the embedded default."""

from funcledger_read_models.sqlite.file import UnusableFile
from funcledger_read_models.sqlite.store import SqliteStore

__all__ = ["SqliteStore", "UnusableFile"]
