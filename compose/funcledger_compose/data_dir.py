"""The data directory of a server: its format version, its token, and where clients find its address."""

import json
import os
import secrets
from pathlib import Path

#: The format this version writes. A newer server opens an older directory, never the other way round.
FORMAT = 1


class DataDirError(Exception):
    """Raised when a data directory cannot be used; the message says what to do."""


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner may read, all or nothing."""
    beside = path.with_name(path.name + ".new")
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)


class DataDir:
    """A server's directory, made on first use, readable by its owner alone."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.log = path / "log"
        self.read_models = path / "read_models.db"
        self.endpoints = path / "endpoints"
        self._token = path / "token"
        self._server = path / "server.json"

    def open(self) -> None:
        """Make the directory, or check that this version may open it.

        Raises:
            DataDirError: it belongs to a newer version, or cannot be written.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True, mode=0o700)
            self.path.chmod(0o700)
            self._check_format()
        except OSError as error:
            raise DataDirError(
                f"the data directory {self.path} cannot be used: {error.strerror}. "
                "Name another with --data-dir or FUNCLEDGER_DATA_DIR."
            ) from error

    def _check_format(self) -> None:
        file = self.path / "format.json"
        if not file.exists():
            write_private(file, json.dumps({"format": FORMAT}) + "\n")
            return
        try:
            found = int(json.loads(file.read_text())["format"])
        except (ValueError, KeyError, TypeError):
            raise DataDirError(
                f"{file} does not say a format version; this is not a data directory of funcledger, or it "
                "was damaged. Restore it from a backup or name another directory with --data-dir."
            ) from None
        if found > FORMAT:
            raise DataDirError(
                f"the data directory {self.path} was written by a newer funcledger (format {found}; this "
                f"version reads up to {FORMAT}). Upgrade: pip install --upgrade funcledger"
            )

    def token(self) -> str:
        """The user's token, made when there is none yet: 256 random bits behind a prefix."""
        if not self._token.exists():
            write_private(self._token, f"flu_{secrets.token_urlsafe(32)}\n")
        return self._token.read_text().strip()

    def announce(self, url: str) -> None:
        """Say where the server is, for clients that are given nothing else."""
        write_private(self._server, json.dumps({"url": url}) + "\n")
