"""The lock that keeps two runs from starting one folder's processes twice."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class Running(Exception):
    """Raised when another run has the folder; the message says which."""


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Have the folder for oneself; the system lets go of it when the process dies.

    Raises:
        Running: another process has it.
    """
    with (folder / "run.lock").open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            file.seek(0)
            raise Running(
                f"it runs already, as process {file.read() or 'unknown'}, with its data in {folder}. Stop "
                "that one, or name another folder and port: FUNCLEDGER_DATA_DIR and FUNCLEDGER_PORT"
            ) from None
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield
