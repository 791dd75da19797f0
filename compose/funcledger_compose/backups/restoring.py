"""Puts a backup back as a data directory that a server can be started on."""

import sqlite3
from pathlib import Path

from funcledger_compose.backups.manifest import BackupError, Manifest, check, read_manifest
from funcledger_compose.data_dir import DataDir
from funcledger_compose.files import InProgress, copy_private, made_whole
from funcledger_event_log.sqlite import DirectoryLock, LogInUse


def restore(backup: Path, target: Path) -> Manifest:
    """Copy a backup to ``target``, which does not exist or is empty, and check the copy.

    Raises:
        BackupError: the backup is damaged or none, ``target`` is not fit, or cannot be written.
    """
    manifest = read_manifest(backup)
    _refuse_what_is_there(target)
    try:
        with made_whole(target) as partial:
            for name in manifest.files:
                copy_private(_inside(backup, name), partial / name)
            check(partial, manifest, backup)
    except InProgress as error:
        raise BackupError(str(error)) from error
    except FileNotFoundError as error:
        raise BackupError(
            f"the backup {backup} is damaged ({error.filename} is missing) and was not used. "
            "Restore another one."
        ) from error
    except (OSError, sqlite3.Error) as error:
        raise BackupError(
            f"the backup could not be put back: {error}. Nothing was left at {target}."
        ) from error
    return manifest


def _inside(backup: Path, name: str) -> Path:
    """The file of this name, which leads nowhere else."""
    path = backup / name
    if Path(name).is_absolute() or ".." in Path(name).parts or path.is_symlink():
        raise BackupError(f"the backup {backup} names a file outside of itself: {name}. It is not ours.")
    return path


def _refuse_what_is_there(target: Path) -> None:
    if not target.exists():
        return
    log = DataDir(target).log
    if log.is_dir():
        try:
            DirectoryLock(log).release()
        except LogInUse as error:
            raise BackupError(
                f"a server runs on {target}: {error}. Restore into a directory of its own, and start a "
                "server there."
            ) from error
    if not target.is_dir() or any(target.iterdir()):
        raise BackupError(f"{target} is not empty. Name a directory that is new or empty with --data-dir.")
