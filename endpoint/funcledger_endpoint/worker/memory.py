"""The worker's highest resident memory, as the process itself can know it."""

import resource
import sys
from pathlib import Path

_STATUS = Path("/proc/self/status")
#: A call shorter than this (seconds) cannot have taken so much that it is worth the time to look.
_SHORT = 0.001


class PeakMemory:
    """Bytes. On Linux getrusage begins with what the agent had when it started the worker."""

    def __init__(self) -> None:
        self._known = 0

    def after(self, run_time: float) -> int:
        """The peak so far, after a call of so many seconds."""
        if run_time >= _SHORT or not self._known:
            self._known = _from_status() if sys.platform == "linux" else _from_usage()
        return self._known


def _from_status() -> int:
    status = _STATUS.read_bytes()
    start = status.index(b"VmHWM:") + 6
    return int(status[start : status.index(b"kB", start)]) * 1024


def _from_usage() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
