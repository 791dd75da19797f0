"""Keeps a process's memory, environment and descriptors from others of the same account (on Linux)."""

import ctypes
import sys

_PR_SET_DUMPABLE = 4


def keep_from_same_user() -> None:
    """Have the kernel give ``/proc/<pid>/environ``, ``mem`` and ``fd`` of this process to root alone.

    What a worker runs has its agent's account, and could read tokens there otherwise. The price: no core dump
    of this process, and a profiler such as py-spy must be run as root. See prctl(2), PR_SET_DUMPABLE.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
