"""Data directories with something of every kind in them, to be backed up."""

import hashlib
from pathlib import Path

import msgspec
from tests.support.queries import Task

from funcledger_compose.data_dir import DataDir
from funcledger_compose.files import write_private
from funcledger_event_log.records import NewRecord
from funcledger_event_log.sqlite import SqliteLog
from funcledger_read_models.sqlite import SqliteStore

#: A payload that stands in the file of large values.
LARGE = bytes(range(256)) * 400


def completed(payload: bytes) -> NewRecord:
    """An outcome with this payload, told as it is."""
    event = msgspec.structs.replace(
        Task().completed(payload), payload_sha256=hashlib.sha256(payload).hexdigest()
    )
    return NewRecord.of(event, 0)


async def fill(data: DataDir) -> SqliteLog:
    """Something of every kind; the log is still open."""
    data.open()
    data.token()
    log = await SqliteLog.open(data.log)
    await log.create_topic("results", 2)
    for number in range(5):
        await log.append([completed(b"%d" % number)])
        await log.append([completed(LARGE + b"%d" % number)])
    store = await SqliteStore.open(data.read_models)
    await store.save({}, {("results", 0): 10}, {("results", 0): 0})
    await store.close()
    local = data.endpoints / "local"
    local.mkdir(parents=True)
    for name in ("config.toml", "credential"):
        write_private(local / name, name)
    (local / "endpoint.log").write_text("not a thing to keep")
    return log


def files_of(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
