"""The data directory of a server: its format version, its token, and where clients find its address."""

import json
import secrets
import socket
from collections.abc import Iterator, Sequence
from pathlib import Path

from funcledger.private_files import keep_directory_private, read_private
from funcledger_compose.files import write_private
from funcledger_compose.upgrades import FIRST, STEPS, Format, Step, upgrade
from funcledger_schemas import local_socket


class DataDirError(Exception):
    """Raised when a data directory cannot be used; the message says what to do."""


def in_use(error: Exception) -> str:
    """What to say, with what to do, when another process has a directory's log."""
    return f"{error}. Stop that server, or name another directory with --data-dir."


class DataDir:
    """A server's directory, made on first use, readable by its owner alone."""

    def __init__(self, path: Path, steps: Sequence[Step] = STEPS) -> None:
        """``steps`` lead from the first format to the one this version writes."""
        self.path = path
        self.log = path / "log"
        self.read_models = path / "read_models.db"
        self.endpoints = path / "endpoints"
        self.format_file = path / "format.json"
        self.backup_manifest = path / "backup.json"
        self._token = path / "token"
        self._moved = path / "moved.txt"
        self._server = path / "server.json"
        self._socket = path / local_socket.NAME
        self._steps = steps

    @property
    def newest(self) -> int:
        """The format this version writes; it opens every older one, never a newer one."""
        return FIRST + len(self._steps)

    def open(self) -> None:
        """Make the directory, or bring it up to this version's format.

        Raises:
            DataDirError: it belongs to a newer version, is a backup, is in use, or cannot be written.
            PermissionDenied: others may enter it, and that cannot be changed.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True, mode=0o700)
            keep_directory_private(self.path)
            self._open()
        except OSError as error:
            raise DataDirError(
                f"the data directory {self.path} cannot be used: {error.strerror}. "
                "Name another with --data-dir or FUNCLEDGER_DATA_DIR."
            ) from error

    def _open(self) -> None:
        if self.backup_manifest.exists():
            raise DataDirError(
                f"{self.path} is a backup, which a server would change. Restore it into a directory of its "
                f"own: funcledger restore {self.path} --data-dir NEW"
            )
        if self._moved.exists():
            raise DataDirError(
                f"the history in {self.path} was moved to {self._moved.read_text().strip()} and goes on "
                f"there. Remove {self._moved} to use the directory all the same: the two then drift apart"
            )
        if not self.format_file.exists() and not self.log.exists():
            Format(self.newest).write(self.format_file)
        if self.format() < self.newest:
            self._upgrade()

    def _upgrade(self) -> None:
        from funcledger_event_log.sqlite import LogInUse  # not with every command of the CLI

        try:
            upgrade(self.path, self.format_file, self._steps)
        except LogInUse as error:
            raise DataDirError(in_use(error)) from error

    def format(self) -> int:
        """The directory's format.

        Raises:
            DataDirError: it says none, or one that this version does not know.
        """
        try:
            found = Format.read(self.format_file)
        except (OSError, ValueError, KeyError, TypeError):
            raise DataDirError(
                f"{self.format_file} does not say a format version; this is not a data directory of "
                "funcledger, or it was damaged. Restore it from a backup or name another directory with "
                "--data-dir."
            ) from None
        if found.needed > self.newest:
            raise DataDirError(
                f"the data directory {self.path} was written by a newer funcledger (format {found.needed}; "
                f"this version reads up to {self.newest}). Upgrade: pip install --upgrade funcledger"
            )
        return found.present

    def small_files(self) -> Iterator[Path]:
        """The small files without which nobody gets in again: its token, its endpoints and their secrets."""
        yield self.format_file
        yield from (file for file in (self._token,) if file.exists())
        for name in ("config.toml", "credential"):
            yield from sorted(self.endpoints.glob(f"*/{name}"))

    def mark_moved(self, where: str) -> None:
        """Refuse to be opened from now on: what happened here goes on elsewhere."""
        write_private(self._moved, where + "\n")

    def token(self) -> str:
        """The user's token, made when there is none yet: 256 random bits behind a prefix.

        Raises:
            PermissionDenied: others may read it, and that cannot be changed.
        """
        if not self._token.exists():
            write_private(self._token, f"flu_{secrets.token_urlsafe(32)}\n")
        return read_private(self._token)

    def listen(self) -> socket.socket:
        """The socket for programs on this machine, which take it for this directory's server.

        Raises:
            DataDirError: the directory cannot hold one.
        """
        try:
            return local_socket.listen(self._socket)
        except OSError as error:
            raise DataDirError(
                f"no socket can be made in the data directory {self.path}: {error.strerror or error}. "
                "Name one on a local disk, with a shorter path, with --data-dir or FUNCLEDGER_DATA_DIR."
            ) from error

    def announce(self, url: str) -> None:
        """Say where the server is, for clients that are given nothing else."""
        write_private(self._server, json.dumps({"url": url}) + "\n")

    def announced(self) -> str | None:
        """Where the server was said to be last."""
        try:
            return str(json.loads(self._server.read_text())["url"])
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def withdraw(self) -> None:
        """Take the socket away: the server has ended in good order."""
        self._socket.unlink(missing_ok=True)
