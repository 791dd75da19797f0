"""The directories of an endpoint's workers, in which calls begin, and those of calls that are kept."""

import contextlib
import logging
import os
import shutil
import tempfile
import threading
import weakref
from pathlib import Path
from typing import Literal

_log = logging.getLogger(__name__)

#: Of which calls what they have left in their directory is kept.
Keep = Literal["never", "on-failure", "always"]
_CALL = "call-"


class Directories:
    """Below ``root``: ``running/<worker>/`` for each worker process, ``kept/<task>`` for what is kept.

    Without a root they are in the system's temporary directory, and go with the engine.
    """

    def __init__(self, root: Path | None = None, keep: Keep = "never") -> None:
        self.keep: Keep = keep
        where = root or Path(tempfile.mkdtemp(prefix="funcledger-"))
        #: Removes a temporary root, at the latest with the program.
        self.end = weakref.finalize(self, lambda: None if root else remove_tree(where))
        self._running, self._kept = where / "running", where / "kept"

    def begin(self) -> None:
        """Remove what a former agent has left."""
        with contextlib.suppress(FileNotFoundError):
            for left in list(self._running.iterdir()):
                self._remove(left)

    def of_worker(self, mark: str) -> Path:
        """Where a worker makes the directories of its calls; it makes this one too."""
        return self._running / mark

    def put_away(self, mark: str, call: int, task_id: str) -> None:
        """Keep what a call of this worker has left, if it has left anything."""
        self._move(self._running / mark / kept_name(call), task_id)

    def ended(self, mark: str, lost: str | None) -> None:
        """A worker is gone, and with it the call of task ``lost``: keep what that left, remove the rest."""
        where = self._running / mark
        if lost is not None and self.keep != "never" and where.is_dir():
            for left in where.iterdir():
                if any(left.iterdir()):
                    self._move(left, lost)
        self._remove(where)

    def _move(self, left: Path, task_id: str) -> None:
        try:
            self._kept.mkdir(parents=True, exist_ok=True)
            for name in (task_id, *(f"{task_id}.{attempt}" for attempt in range(2, 1000))):
                if not (self._kept / name).exists():
                    left.rename(self._kept / name)
                    return
        except FileNotFoundError:
            return
        except OSError as error:
            _log.error("what task %s has left in %s cannot be kept: %s", task_id, left, error)

    def _remove(self, where: Path) -> None:
        """In a thread, since a task may leave very much."""
        threading.Thread(target=remove_tree, args=(where,), name="remove-directories").start()


def kept_name(call: int) -> str:
    """What a worker calls the directory of a call that is to be kept."""
    return f"{_CALL}{call}"


def remove_tree(where: Path) -> None:
    """Remove a directory as far as that can be done, also where a task has taken its own rights away."""
    shutil.rmtree(where, ignore_errors=True)
    if not where.exists():
        return
    with contextlib.suppress(OSError):
        os.chmod(where, 0o700)
    for folder, names, _ in os.walk(where):
        for path in (os.path.join(folder, name) for name in names):
            if not os.path.islink(path):
                with contextlib.suppress(OSError):
                    os.chmod(path, 0o700)
    shutil.rmtree(where, ignore_errors=True)
