"""Ends the processes that tests have left, by their ids: those that this process began, and nobody else's."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import psutil
from tests.support.deadlines import scaled

#: In the environment of everything that this process starts: whose it is, and whether it stays for others.
_WHOSE, _STAYS = "TESTS_OF_PROCESS", "TESTS_SHARE_THIS"
#: Seconds for what is about to end by itself.
_GRACE = 3.0


def mark() -> None:
    """From now on, know by its environment what this process and its children start."""
    os.environ[_WHOSE] = f"{os.getpid()}-{psutil.Process().create_time()}"


@contextmanager
def staying() -> Iterator[None]:
    """What is started within is for the tests of other files too, and is stopped with the run."""
    os.environ[_STAYS] = "1"
    try:
        yield
    finally:
        del os.environ[_STAYS]


@contextmanager
def gone(process: "subprocess.Popen[Any]") -> Iterator[None]:
    """At the end of the block the process is gone, whatever happens there, a test's time running out too."""
    try:
        yield
    finally:
        process.kill()
        process.wait()


def ended() -> list[str]:
    """End what is left, and tell what it was."""
    _, alive = psutil.wait_procs(list(_left()), timeout=scaled(_GRACE))
    told = []
    for process in alive:
        with suppress(psutil.NoSuchProcess):
            told.append(f"{process.pid}: {' '.join(process.cmdline())}")
            process.kill()
    return told


def _left() -> Iterator[psutil.Process]:
    ours = os.environ.get(_WHOSE)
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            environment = process.environ()
            if environment.get(_WHOSE) == ours and _STAYS not in environment and not _of_python(process):
                yield process


def _of_python(process: psutil.Process) -> bool:
    """Helpers of :mod:`multiprocessing`, which end with the process that has them."""
    return any("multiprocessing" in word for word in process.cmdline())
