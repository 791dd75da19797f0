"""A MongoDB-compatible server (FerretDB on SQLite) as a plain process."""

import contextlib
import sqlite3
from pathlib import Path

from funcledger_compose.native.build import mongo_binary
from funcledger_compose.native.process import NativeProcess, free_port


def mongo(folder: Path) -> NativeProcess:
    """A server with its data in ``folder``; not started yet."""
    folder.mkdir(parents=True, exist_ok=True)
    data = folder / "data"
    data.mkdir(exist_ok=True)
    port = free_port()
    return NativeProcess([str(mongo_binary()), f"127.0.0.1:{port}", str(data)], port, folder / "mongo.log")


def quicken(folder: Path) -> None:
    """Let the server find documents by ``_id``, in every collection that there is by now.

    FerretDB 1.24 makes its index on an expression that differs by its quotes from the one it asks with,
    so SQLite reads the whole table for each document. This adds an index on what it asks with.
    """
    for path in (folder / "data").glob("*.sqlite"):
        with contextlib.closing(sqlite3.connect(path, timeout=10)) as database:
            tables = database.execute("SELECT table_name FROM _ferretdb_collections").fetchall()
            for (table,) in tables:
                database.execute(
                    f'CREATE INDEX IF NOT EXISTS "{table}_quick" ON "{table}" (_ferretdb_sjson->\'$._id\')'
                )
            database.commit()
