"""Processes that lost their parent and came to the agent: whose they are, and the end of those of nobody.

Linux gives an orphan to the nearest ancestor that asked for it. So a task cannot get rid of its agent by
starting a process through another that ends at once.
"""

import contextlib
import ctypes
import os
import sys
import time
from collections.abc import Mapping

from funcledger_endpoint.local.family import children_of, kill

#: What says in a process's environment which worker it comes from.
MARK = "FUNCLEDGER_WORKER"
_PR_SET_CHILD_SUBREAPER = 36
#: Rounds of ending what is left, and seconds between them: two seconds, where each is quick.
_ROUNDS, _PAUSE = 400, 0.005


class Strangers:
    """For an agent that has no children but its workers: anything else among them is a task's orphan."""

    def __init__(self) -> None:
        self._unknown: set[int] = set()
        if sys.platform == "linux":
            ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)

    def sort(self, workers: Mapping[int, str]) -> dict[int, list[int]]:
        """The orphans of each of these workers (process ids and their marks); ends all others.

        One that hides where it comes from, in a session and an environment of its own, is ended too when
        it is seen for the second time: the first look may have come in the middle of its beginning.
        """
        found: dict[int, list[int]] = {}
        unknown: set[int] = set()
        doomed: list[int] = []
        marks = {mark: pid for pid, mark in workers.items()}
        for pid in children_of(os.getpid()):
            if pid in workers or _reaped(pid):
                continue
            session, mark = _session(pid), _mark(pid)
            owner = session if session in workers else marks.get(mark)
            if owner is not None:
                found.setdefault(owner, []).append(pid)
            elif mark or pid in self._unknown:
                doomed.append(pid)
            else:
                unknown.add(pid)
        self._unknown = unknown
        if doomed:
            kill(doomed)
        return found

    def end_all(self) -> None:
        """End whatever is left, once there are no workers: then nobody else can be the agent's child.

        An orphan comes to the agent as soon as its parent has ended, so none is missed; and it goes on until
        there is none, for a while at most.
        """
        for _ in range(_ROUNDS):
            left = [pid for pid in children_of(os.getpid()) if not _reaped(pid)]
            if not left:
                return
            kill(left)
            time.sleep(_PAUSE)


def _reaped(pid: int) -> bool:
    """Whether it has ended; then nothing of it is left afterwards."""
    with contextlib.suppress(ChildProcessError):
        return os.waitpid(pid, os.WNOHANG)[0] == pid
    return True


def _session(pid: int) -> int:
    with contextlib.suppress(OSError):
        return os.getsid(pid)
    return 0


def _mark(pid: int) -> str:
    with contextlib.suppress(OSError), open(f"/proc/{pid}/environ", "rb") as file:
        for entry in file.read().split(b"\0"):
            name, _, value = entry.partition(b"=")
            if name == MARK.encode():
                return value.decode(errors="replace")
    return ""
