"""Read models in one SQLite file: the embedded default."""

from funcledger_read_models.sqlite.file import UnusableFile, WornFile, discard, positions_in
from funcledger_read_models.sqlite.store import SqliteStore

__all__ = ["SqliteStore", "UnusableFile", "WornFile", "discard", "positions_in"]
