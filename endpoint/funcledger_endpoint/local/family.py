"""A worker and all processes that its tasks have started: found, weighed and ended together.

On Linux they are read from ``/proc``, at a cost that grows with the family and not with the machine;
elsewhere psutil looks through all processes.
"""

import contextlib
import os
import re
import signal
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import psutil

_LINUX = sys.platform == "linux" and Path(f"/proc/self/task/{os.getpid()}/children").exists()
_PAGE = os.sysconf("SC_PAGE_SIZE")
#: Kernels before 5.4 tell shares without their kind.
_SHARE = re.compile(rb"^Pss: *([0-9]+) kB$", re.MULTILINE)
_SHARES = re.compile(rb"^Pss_(?:Anon|Shmem): *([0-9]+) kB$", re.MULTILINE)
#: Rounds of stopping what has been found before all of it is killed: what is stopped starts nothing more.
#: Seconds between those in which nobody new was found. Where a bomb has the processors, who is told to stop
#: comes to it late, and may have one more child until then: so there are two seconds for it.
_ROUNDS, _PAUSE = 2000, 0.001


class Weight(NamedTuple):
    """What a family takes: processes and threads, and bytes of resident memory."""

    processes: int
    memory: int


def children_of(pid: int) -> list[int]:
    """The processes whose parent this one is now."""
    if not _LINUX:
        with contextlib.suppress(psutil.Error):
            return [child.pid for child in psutil.Process(pid).children()]
        return []
    found: list[int] = []
    with contextlib.suppress(OSError):
        for thread in os.listdir(f"/proc/{pid}/task"):
            with contextlib.suppress(OSError):
                found += map(int, _read(f"/proc/{pid}/task/{thread}/children").split())
    return found


def members(roots: Iterable[int], most: int | None = None) -> list[int]:
    """These processes and all that descend from them; of more than ``most`` only some.

    Without that, whoever follows a family that grows faster than it is read has no end of it.
    """
    found = list(roots)
    for pid in found:
        if most is not None and len(found) > most:
            break
        found += children_of(pid)
    return found


def weigh(roots: Iterable[int], limit: int, most: int | None = None) -> Weight:
    """What these and their descendants take. Memory is exact where it could be over ``limit`` bytes.

    At first all that is resident counts, and for each process what it has in common with others: that is
    quick to find out. Only when it is over the limit are files left out, which take no memory that others
    could not have, and shared pages divided among those who share them. That takes some 2 ms a process;
    so it is left out where there are more than ``most`` processes and threads, which is enough to know.
    """
    threads, resident = 0, 0
    with _before_all_others():
        family = members(roots, most)
        for pid in family:
            threads += _threads(pid)
            resident += _resident(pid)
    if limit and resident > limit and (most is None or threads <= most):
        resident = sum(_share(pid) for pid in family)
    return Weight(threads, resident)


def kill(roots: Iterable[int], group: int | None = None) -> None:
    """End these processes, all that descend from them, and a process group.

    First all of them are stopped, in rounds until nobody new is found: whoever runs might start another
    one while the first are killed. Who was told to stop may still be amid a fork, so the last round comes
    after all have come to rest. Children are killed before their parents: where a parent ends whose children
    are stopped in a process group of their own, the kernel has that group go on.
    """
    roots = list(roots)
    stopped: dict[int, None] = {}
    at_rest = False
    with _before_all_others():
        if group is not None:
            _to_group(group, signal.SIGSTOP)
        for _ in range(_ROUNDS):
            if not _stop(roots, stopped):
                if at_rest:
                    break
                time.sleep(_PAUSE)
            at_rest = all(map(_at_rest, stopped))
        for pid in reversed(stopped):
            _to(pid, signal.SIGKILL)
        if group is not None:
            _to_group(group, signal.SIGKILL)


@contextlib.contextmanager
def _before_all_others() -> Iterator[None]:
    """This thread is served first where that is ours to say: else it has a bomb's processor time to share.

    For root alone, as a rule. The others have a limit on their processes, which root has not.
    """
    if sys.platform != "linux":
        yield
        return
    before = os.sched_getscheduler(0), os.sched_getparam(0)
    try:
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
    except OSError:
        yield
        return
    try:
        yield
    finally:
        os.sched_setscheduler(0, *before)


def _stop(roots: Iterable[int], stopped: dict[int, None]) -> bool:
    """Stop these and their descendants, each before its children are looked for; whether any was new."""
    before = len(stopped)
    found = list(roots)
    for pid in found:
        if pid not in stopped:
            _to(pid, signal.SIGSTOP)
            stopped[pid] = None
        found += children_of(pid)
    return len(stopped) > before


def _at_rest(pid: int) -> bool:
    """Whether a process has stopped or ended; where that cannot be told, one that was told to has."""
    if _LINUX:
        with contextlib.suppress(OSError):
            return _read(f"/proc/{pid}/stat").rpartition(b") ")[2][:1] in b"TtZX"
    return True


def _to(pid: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(pid, number)


def _to_group(pid: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, number)


def _read(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read()


def _threads(pid: int) -> int:
    """Threads of a process; none of one that has ended and waits to be asked how."""
    if not _LINUX:
        with contextlib.suppress(psutil.Error):
            return psutil.Process(pid).num_threads()
        return 0
    with contextlib.suppress(OSError):
        status = _read(f"/proc/{pid}/stat").rpartition(b") ")[2].split(b" ", 18)
        return 0 if status[0] == b"Z" else int(status[17])
    return 0


def _resident(pid: int) -> int:
    with contextlib.suppress(OSError, psutil.Error):
        if _LINUX:
            return int(_read(f"/proc/{pid}/statm").split(b" ", 2)[1]) * _PAGE
        return int(psutil.Process(pid).memory_info().rss)
    return 0


def _share(pid: int) -> int:
    """The process's share of memory that is no file: a page that two have counts half for each."""
    with contextlib.suppress(OSError):
        if _LINUX:
            text = _read(f"/proc/{pid}/smaps_rollup")
            if found := _SHARES.findall(text) or _SHARE.findall(text):
                return 1024 * sum(map(int, found))
    return _resident(pid)


def tasks_of_user() -> int:
    """Processes and threads that this user has on the machine; 0 where it cannot be told, or never limits."""
    if not _LINUX or not os.getuid():
        return 0
    found = 0
    for name in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError):
            if os.stat(f"/proc/{name}").st_uid == os.getuid():
                found += len(os.listdir(f"/proc/{name}/task"))
    return found
