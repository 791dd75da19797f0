"""Files that must survive: private to their owner, whole or not there, and on the disk when they are."""

import errno
import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_BLOCK = 1024 * 1024


class InProgress(Exception):
    """Raised when another process is making the same directory."""


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner may read, all or nothing."""
    beside = path.with_name(path.name + ".new")
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)


def for_its_owner(path: str, flags: int) -> int:
    """An ``opener`` of ``open``: a file that it makes is its owner's alone."""
    return os.open(path, flags, 0o600)


def copy_private(source: Path, target: Path, size: int | None = None) -> None:
    """Copy a file, or its first ``size`` bytes, into a new one that only its owner may read.

    Raises:
        OSError: it cannot be read or written, or it is shorter than that.
    """
    for folder in reversed([each for each in target.parents if not each.exists()]):
        folder.mkdir(mode=0o700)
    opened = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with source.open("rb", 0) as reading, os.fdopen(opened, "wb", 0) as writing:
        left = os.fstat(reading.fileno()).st_size if size is None else size
        while left:
            block = reading.read(min(left, _BLOCK))
            if not block:
                raise OSError(errno.EIO, f"it ends {left} bytes too early", str(source))
            writing.write(block)
            left -= len(block)
        os.fsync(writing.fileno())


@contextmanager
def made_whole(target: Path) -> Iterator[Path]:
    """A new directory that is named ``target`` when the block ends well, with all of it on the disk.

    If the block fails, nothing is left. What a killed process left behind is cleared away first.

    Raises:
        InProgress: another process is at it.
        OSError: the directory cannot be made, or ``target`` is there and not empty.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f".{target.name}.partial")
    partial.mkdir(exist_ok=True, mode=0o700)
    descriptor = os.open(partial, os.O_RDONLY)
    try:
        _claim(descriptor, partial)
        try:
            yield partial
            for folder, _, _ in os.walk(partial):
                sync(Path(folder))
            partial.rename(target)
        except BaseException:
            shutil.rmtree(partial)
            raise
        sync(target.parent)
    finally:
        os.close(descriptor)


def _claim(descriptor: int, partial: Path) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        raise InProgress(f"another process is writing {partial}; let it finish") from error
    for left in partial.iterdir():
        shutil.rmtree(left) if left.is_dir() else left.unlink()


def sync(path: Path) -> None:
    """Have a file's bytes, or a directory's names, survive a power cut."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
