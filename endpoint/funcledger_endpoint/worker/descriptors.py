"""The worker's own descriptors: out of the way of what calls close, and not closed with it."""

import contextlib
import fcntl
import os
from collections.abc import Callable, Iterator
from typing import NoReturn

from funcledger_endpoint.local.frames import DESCRIPTORS_CLOSED

#: Where they begin: beyond what programs close that make daemons of themselves the old way, and beyond what
#: files are opened as, so that none takes the number of one that is closed all the same.
_HIGH = 512
_own: set[int] = set()
_pid = os.getpid()


def own(descriptor: int) -> int:
    """Take this one as the worker's; returns the number that it has from now on."""
    with contextlib.suppress(OSError):  # so many files are not allowed here: then it stays where it is
        high = fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, _HIGH)
        os.close(descriptor)
        descriptor = high
    _own.add(descriptor)
    return descriptor


def close_own(descriptor: int) -> None:
    """Close one that the worker has no more use for."""
    _own.discard(descriptor)
    with contextlib.suppress(OSError):  # a call has closed it
        os.close(descriptor)


def is_own(descriptor: object) -> bool:
    """Whether it is the worker's; to a process that a call has forked it is a descriptor like any other."""
    return descriptor in _own and os.getpid() == _pid


def close_range(close: Callable[[int, int], None], first: int, last: int) -> None:
    """What ``os.closerange`` does (``close``), but for the worker's own."""
    for start, end in _around_own(first, last):
        close(start, end)


def _around_own(first: int, last: int) -> Iterator[tuple[int, int]]:
    for descriptor in sorted(filter(is_own, _own)):
        if first <= descriptor < last:
            yield first, descriptor
            first = descriptor + 1
    yield first, last


def end_without() -> NoReturn:
    """End the process, since nothing can be heard or said any more; the code tells the agent why."""
    os._exit(DESCRIPTORS_CLOSED)
