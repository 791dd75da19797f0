"""A MongoDB-compatible server (FerretDB on SQLite) as a plain process."""

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
