"""The writing side: documents and positions in one transaction, on one connection."""

import sqlite3
from itertools import chain

from funcledger_read_models.checks import check_writer
from funcledger_read_models.port import Documents, Positions
from funcledger_read_models.sqlite.file import read_positions
from funcledger_read_models.sqlite.rows import to_row
from funcledger_read_models.sqlite.statements import pieces, upsert


class Writer:
    """Saves, one at a time; called by one thread at a time."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def save(self, documents: Documents, positions: Positions, before: Positions) -> None:
        """Write all of it or nothing; raises as the port says, and what sqlite3 raises."""
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            check_writer(read_positions(self._connection), before, positions)
            self.write_documents(documents)
            self.write_positions(positions)
            self._connection.execute("COMMIT")
        except BaseException:
            # A full disk has rolled back by itself.
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            raise

    def write_documents(self, documents: Documents) -> None:
        """Insert or replace every document."""
        for model, by_key in documents.items():
            rows = list(map(to_row(model), by_key.values()))
            for piece in pieces(rows):
                self._connection.execute(upsert(model, len(piece)), list(chain.from_iterable(piece)))

    def write_positions(self, positions: Positions) -> None:
        """Move every position."""
        rows = [(topic, partition, offset) for (topic, partition), offset in positions.items()]
        self._connection.executemany("INSERT OR REPLACE INTO positions VALUES (?, ?, ?)", rows)

    def close(self) -> None:
        """Let go of the file."""
        self._connection.close()
