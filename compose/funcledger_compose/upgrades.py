"""Brings a data directory of an older format up to today's, by steps each of which may be run again."""

import json
import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from funcledger_compose.files import write_private

_log = logging.getLogger(__name__)

#: The format of the first release. What stands in the log's and the read models' own files has a version
#: of its own in them: the log rewrites its header when it is opened, read models are made anew.
FIRST = 1


class Step(NamedTuple):
    """From one format to the next."""

    #: What it does, for the server's log.
    what: str
    #: Changes the directory; must do no harm to one that it has changed already, in whole or in part.
    change: Callable[[Path], None]


def _events_of_version_2(directory: Path) -> None:
    """Change nothing: this version reads both, but an older one must not open what it cannot read."""


#: The step at index i makes format FIRST + i + 1. Never removed: any older directory must come through.
STEPS: tuple[Step, ...] = (Step("its log may hold events of version 2 from now on", _events_of_version_2),)


class Format(NamedTuple):
    """What ``format.json`` says: the format, and the one an upgrade was making of it when it was cut off."""

    present: int
    becoming: int | None = None

    @property
    def needed(self) -> int:
        """The oldest format that a version must know to open the directory."""
        return max(self.present, self.becoming or 0)

    @classmethod
    def read(cls, file: Path) -> "Format":
        """The format in this file.

        Raises:
            ValueError, KeyError, TypeError: it says none.
        """
        said = json.loads(file.read_text())
        present = int(said["format"])
        if present < FIRST:
            raise ValueError(f"there never was a format {present}")
        return cls(present, int(said["becoming"]) if "becoming" in said else None)

    def write(self, file: Path) -> None:
        """Say so from now on."""
        said = {"format": self.present} | ({} if self.becoming is None else {"becoming": self.becoming})
        write_private(file, json.dumps(said) + "\n")


def upgrade(directory: Path, file: Path, steps: Sequence[Step]) -> None:
    """Run every step that is still to be run, under the log's lock; ``file`` tells how far it has come.

    Raises:
        LogInUse: a server runs on the directory.
        OSError: a step could not be finished; the next start begins with it again.
    """
    from funcledger_event_log.sqlite import DirectoryLock  # not with every command of the CLI

    log = directory / "log"
    log.mkdir(exist_ok=True, mode=0o700)
    lock = DirectoryLock(log)
    try:
        # Read under the lock: another server may just have done it.
        for present in range(Format.read(file).present, FIRST + len(steps)):
            step = steps[present - FIRST]
            _log.info("upgrading %s from format %d to %d: %s", directory, present, present + 1, step.what)
            Format(present, present + 1).write(file)
            step.change(directory)
            Format(present + 1).write(file)
    finally:
        lock.release()
