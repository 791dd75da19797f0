"""What a backup says of itself: ``backup.json``, written last, by which everything in it is checked."""

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path

import msgspec

from funcledger_compose.data_dir import DataDir, DataDirError
from funcledger_compose.files import write_private
from funcledger_event_log.sqlite import LogCorrupt, survey


class BackupError(DataDirError):
    """Raised when a backup cannot be made, read or put back; the message says what to do."""


class File(msgspec.Struct, frozen=True):
    """One file of a backup."""

    size: int
    sha256: str


class Manifest(msgspec.Struct, frozen=True):
    """What was backed up. ``files`` are paths within the backup, which is laid out as a data directory is."""

    #: Version of funcledger that made it, and the format of the data directory.
    funcledger: str
    format: int
    #: When it began: all that was acknowledged before is in it.
    made_at: str
    #: Records by topic, and large values, which stand outside the log's database.
    records: Mapping[str, int]
    values: int
    files: Mapping[str, File]

    @property
    def bytes(self) -> int:
        """Size of all files together."""
        return sum(file.size for file in self.files.values())

    def write(self, folder: Path) -> None:
        """Write it; the backup is whole from then on."""
        text = msgspec.json.format(msgspec.json.encode(self)).decode()
        write_private(DataDir(folder).backup_manifest, text + "\n")


def described(folder: Path, names: Iterable[Path]) -> dict[str, File]:
    """Size and hash of files within a folder."""
    return {str(name.relative_to(folder)): describe(name) for name in sorted(names)}


def describe(path: Path) -> File:
    """Size and hash of a file as it can be read now."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        return File(file.tell(), digest)


def read_manifest(folder: Path) -> Manifest:
    """What a backup says of itself.

    Raises:
        BackupError: it is none, or of a newer version.
    """
    data = DataDir(folder)
    try:
        manifest = msgspec.json.decode(data.backup_manifest.read_bytes(), type=Manifest)
    except FileNotFoundError:
        raise BackupError(
            f"{folder} is not a backup of funcledger: it has no {data.backup_manifest.name}. Name the "
            "directory that `funcledger backup` made."
        ) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise _damaged(folder, f"{data.backup_manifest.name} cannot be read: {error}") from error
    if manifest.format > data.newest:
        raise BackupError(
            f"the backup {folder} was made by funcledger {manifest.funcledger} (format {manifest.format}; "
            f"this version reads up to {data.newest}). Upgrade: pip install --upgrade funcledger"
        )
    return manifest


def check(folder: Path, manifest: Manifest, backup: Path) -> None:
    """Read everything in ``folder``, a copy of ``backup``, and see that it is what was written.

    Raises:
        BackupError: something is missing or is not as the manifest says.
    """
    for name, expected in manifest.files.items():
        path = folder / name
        if not path.is_file():
            raise _damaged(backup, f"{name} is missing")
        if describe(path) != expected:
            raise _damaged(backup, f"{name} is not as it was written")
    try:
        found = survey(DataDir(folder).log)
    except LogCorrupt as error:
        raise _damaged(backup, what_is_wrong(error).replace(str(folder), str(backup))) from error
    if dict(found.records) != dict(manifest.records) or found.values != manifest.values:
        raise _damaged(backup, "its log does not hold the records that were counted")


def what_is_wrong(error: LogCorrupt) -> str:
    """The finding, without the advice for those who start a server."""
    return str(error).partition(". Stop")[0]


def _damaged(backup: Path, why: str) -> BackupError:
    return BackupError(f"the backup {backup} is damaged ({why}) and was not used. Restore another one.")
