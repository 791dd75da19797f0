"""Copies a data directory whose server goes on working: what was acknowledged before is in the copy."""

import logging
import sqlite3
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from funcledger_compose.backups.manifest import BackupError, Manifest, described, what_is_wrong
from funcledger_compose.backups.snapshot import copy_database, snapshot
from funcledger_compose.data_dir import DataDir
from funcledger_compose.files import InProgress, copy_private, made_whole
from funcledger_event_log.sqlite import DATABASE, VALUES, LogCorrupt, Survey, survey, values_end
from funcledger_read_models.sqlite import UnusableFile, positions_in

_log = logging.getLogger(__name__)


def back_up(source: Path, target: Path) -> Manifest:
    """Copy the data directory ``source`` to ``target``, check the copy, and only then give it its name.

    The server may run and write meanwhile, or be stopped, or killed.

    Raises:
        BackupError: there is nothing to copy, it is damaged, or ``target`` cannot be written.
    """
    data = DataDir(source)
    if not (data.log / DATABASE).is_file():
        raise BackupError(
            f"there is no embedded log in {source}. Name the server's directory with --data-dir; a log on "
            "Kafka is backed up with Kafka's own tools."
        )
    if target.exists():
        raise BackupError(f"{target} exists. Name a directory that does not, each backup has its own.")
    if data.format() != data.newest:
        raise BackupError(
            f"the data directory {source} has format {data.format()}, this version backs up {data.newest}. "
            "Start its server once with this version, which brings it up to date."
        )
    began = datetime.now(UTC).isoformat(timespec="milliseconds")
    try:
        with made_whole(target) as partial:
            return _fill(data, partial, began)
    except InProgress as error:
        raise BackupError(str(error)) from error
    except LogCorrupt as error:
        found = what_is_wrong(error).replace(str(partial), str(source))
        raise BackupError(
            f"no backup was made, for the original is damaged: {found}. Stop its server, and put back the "
            "last backup: funcledger restore BACKUP --data-dir NEW"
        ) from error
    except (OSError, sqlite3.Error) as error:
        raise BackupError(
            f"the backup could not be made: {error}. Nothing was left at {target}; the server is unharmed."
        ) from error


def _fill(data: DataDir, partial: Path, began: str) -> Manifest:
    copy = DataDir(partial)
    copy.log.mkdir(mode=0o700)
    # Read models first: they must never have seen a record that the copied log does not hold.
    _copy_read_models(data, copy)
    _copy_log(data.log, copy.log)
    for file in data.small_files():
        copy_private(file, partial / file.relative_to(data.path))
    found = survey(copy.log)
    _keep_if_useful(copy.read_models, found)
    files = described(partial, (path for path in partial.rglob("*") if path.is_file()))
    manifest = Manifest(
        funcledger=version("funcledger"),
        format=data.format(),
        made_at=began,
        records=dict(found.records),
        values=found.values,
        files=files,
    )
    manifest.write(partial)
    return manifest


def _copy_log(source: Path, target: Path) -> None:
    """The database, then the values it refers to: they were synced before it did, and never change."""
    with snapshot(source / DATABASE) as moment:
        end = values_end(moment)
        copy_database(moment, target / DATABASE)
    copy_private(source / VALUES, target / VALUES, end)


def _copy_read_models(data: DataDir, copy: DataDir) -> None:
    if data.read_models.exists():
        with snapshot(data.read_models) as moment:
            copy_database(moment, copy.read_models)


def _keep_if_useful(read_models: Path, log: Survey) -> None:
    """Leave out read models that cannot be used: a server makes them anew from the log."""
    if not read_models.exists():
        return
    try:
        seen = positions_in(read_models)
    except UnusableFile as error:
        _log.warning("the read models are left out, they will be made anew from the log: %s", error)
        read_models.unlink()
    else:
        ends = {tuple(where): end for where, end in log.ends.items()}
        ahead = [where for where, offset in seen.items() if offset > ends.get(where, 0)]
        assert not ahead, f"the read models have seen what the log does not hold: {ahead}"
