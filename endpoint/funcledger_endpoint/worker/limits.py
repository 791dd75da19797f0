"""The limits a worker has the kernel keep for it, and what it says when a function meets them."""

import contextlib
import gc
import resource
import sys
from pathlib import Path
from resource import setrlimit  # before calls of it are watched

from funcledger_endpoint.local.limits import RESERVE, Limits, memory_in_force

#: Private memory that can be written to: what malloc gives. Not reserved addresses, nor files mapped.
_MEMORY = resource.RLIMIT_DATA
_INFINITY = resource.RLIM_INFINITY
#: How much sooner than others a worker is ended when the machine has no memory left (-1000 to 1000).
_EXPENDABLE = 500


class WorkerLimits:
    """Of this process, inherited by all that it starts; each of those may take as much."""

    def __init__(self, limits: Limits, tasks_of_user: int) -> None:
        """``tasks_of_user`` bounds the processes and threads of this user on the machine, 0 for no bound."""
        self._limits = limits
        self._hard = resource.getrlimit(_MEMORY)[1]
        self._soft = self._hard
        if limits.memory:
            self._hard = _lower(self._hard, limits.memory + RESERVE)
            setrlimit(_MEMORY, (_lower(self._hard, limits.memory), self._hard))
        if tasks_of_user:
            hard = resource.getrlimit(resource.RLIMIT_NPROC)[1]
            setrlimit(resource.RLIMIT_NPROC, (_lower(hard, tasks_of_user),) * 2)
        self._limit, self._whose = memory_in_force(limits, 0)
        self._met = False

    def begin(self, memory: int) -> None:
        """A call begins that asks for this limit on memory (0 for none)."""
        limit, self._whose = memory_in_force(self._limits, memory)
        if limit != self._limit or self._met:
            self._limit, self._met = limit, False
            setrlimit(_MEMORY, (_lower(self._hard, limit or _INFINITY), self._hard))

    def explain(self, error: BaseException) -> None:
        """If it is for want of memory, have it say which limit was met; and make room for sending it."""
        if not isinstance(error, MemoryError) or not self._limit:
            return
        self._met = True
        setrlimit(_MEMORY, (_lower(self._hard, self._limit + RESERVE), self._hard))
        sentence = f"out of memory: {self._whose}"
        if error.args:
            error.add_note(sentence)
        else:
            error.args = (sentence,)

    @property
    def exhausted(self) -> bool:
        """Whether a call that met the limit has left so much behind that the next one would suffer for it."""
        if not self._met:
            return False
        gc.collect()
        return 2 * _private() > self._limit


def expendable() -> None:
    """Where the machine runs out of memory, have its kernel end a worker, and not the agent or others."""
    if sys.platform == "linux":
        with contextlib.suppress(OSError):  # in a sandbox it may not be ours to say
            Path("/proc/self/oom_score_adj").write_text(str(_EXPENDABLE))


def _lower(first: int, second: int) -> int:
    """The lower of two limits, of which either may be infinite."""
    if _INFINITY in (first, second):
        return second if first == _INFINITY else first
    return min(first, second)


def _private() -> int:
    """Bytes that count towards the limit."""
    status = Path("/proc/self/status")
    if not status.exists():
        return 0
    text = status.read_bytes()
    start = text.index(b"VmData:") + 7
    return int(text[start : text.index(b"kB", start)]) * 1024
