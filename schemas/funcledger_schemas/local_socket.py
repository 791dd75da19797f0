"""The Unix socket through which programs reach the server of a data directory on the same machine.

The directory lets nobody in but its owner, so whoever listens there runs as that owner: a secret that is sent
there can reach nobody who could not read it from its file. A TCP port has no owner. See docs/decisions/0026.
"""

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

#: Its name in a data directory.
NAME = "server.sock"
#: Bytes that an address may have on every system: 104 on macOS, 108 on Linux, each with a zero at its end.
_LONGEST = 103
_BACKLOG = 2048


def connect(path: Path, timeout: float | None = None) -> socket.socket:
    """A connection to the server that listens there; ``timeout`` (seconds, 0: never block) stays set on it.

    Raises:
        OSError: nobody listens there, or not on this machine.
    """
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        connection.settimeout(timeout)
        with _address(path) as address:
            connection.connect(address)
    except BaseException:
        connection.close()
        raise
    return connection


def listen(path: Path) -> socket.socket:
    """A socket that listens there, in place of one that a killed server left behind.

    Raises:
        OSError: the file system holds no sockets, or the path is too long for this system.
    """
    beside = path.with_name(path.name + ".new")
    beside.unlink(missing_ok=True)
    made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        with _address(beside) as address:
            made.bind(address)
        beside.chmod(0o600)
        made.listen(_BACKLOG)
        beside.replace(path)  # so that there is no moment in which the one there refuses
    except BaseException:
        made.close()
        raise
    return made


@contextmanager
def _address(path: Path) -> Iterator[str]:
    """The path as an address of a socket; a longer one than fits there goes by way of its open directory."""
    if len(os.fsencode(path)) <= _LONGEST:
        yield os.fspath(path)
        return
    directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{directory}/{path.name}"
    finally:
        os.close(directory)
