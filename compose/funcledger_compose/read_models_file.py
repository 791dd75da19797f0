"""Opens the embedded read models, and makes them anew where they are of no use: the log has all they held."""

import logging
from pathlib import Path

from funcledger_compose.data_dir import DataDirError
from funcledger_event_log.port import EventLog
from funcledger_read_models.sqlite import SqliteStore, UnusableFile, WornFile, discard

_log = logging.getLogger(__name__)


async def open_read_models(file: Path, log: EventLog) -> SqliteStore:
    """The read models in this file; empty ones where they were damaged, another version's or another log's.

    Raises:
        DataDirError: the file is some other program's; the message says what to do.
        StoreUnavailable: it cannot be opened now.
    """
    try:
        store = await SqliteStore.open(file)
    except WornFile as error:
        why = str(error)
    except UnusableFile as error:
        raise DataDirError(str(error)) from error
    else:
        beyond = await _beyond(store, log)
        if beyond is None:
            return store
        why = f"{file} reflects {beyond}, which the log does not hold (was another log put here?)"
        await store.close()
    _log.warning("the read models are made anew from the log, which may take a while: %s", why)
    discard(file)
    return await SqliteStore.open(file)


async def _beyond(store: SqliteStore, log: EventLog) -> str | None:
    """A position of the read models that the log has not come to; None when there is none."""
    for (topic, partition), offset in (await store.positions()).items():
        if offset > (await log.ends(topic)).get(partition, 0):
            return f"{topic}/{partition} up to {offset}"
    return None
