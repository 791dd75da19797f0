"""The threads that a call has left running, and whether other calls may run beside them."""

import threading
import time
from _thread import _count as running  # of threads beside the main one; some 40 ns

from funcledger_endpoint.worker.changes import is_imported

#: Seconds in which threads may end that were about to.
_PATIENCE = 0.05
_STEP = 0.001
#: What runs whatever it is given: to whom a thread of these belongs is not to be seen.
_RUN_ANYTHING = frozenset({"threading", "concurrent.futures.thread", "_thread"})


class Threads:
    """A library that is imported stays with its threads; a thread that runs code of a call does not stay."""

    def __init__(self) -> None:
        self._expected = running()

    @property
    def left(self) -> bool:
        """Whether there are others than before."""
        return running() != self._expected

    def settle(self) -> str:
        """Give those a moment that are about to end; nothing when the rest may stay, else what may not."""
        deadline = time.monotonic() + _PATIENCE
        while True:
            found = [thread for thread in threading.enumerate() if thread is not threading.main_thread()]
            count = running()
            # A thread that this module does not know was started by other means.
            if count <= len(found) and all(map(_is_of_a_library, found)):
                self._expected = count
                return ""
            if time.monotonic() > deadline:
                names = [thread.name for thread in found if not _is_of_a_library(thread)]
                return f"a call has left threads running: {', '.join(names) or 'unknown ones'}"
            time.sleep(_STEP)


def _is_of_a_library(thread: threading.Thread) -> bool:
    """Whether an imported module has defined what it is, or as a daemon, what it runs."""
    kind = type(thread)
    if kind.__module__ not in _RUN_ANYTHING and is_imported(kind):
        return True
    target = getattr(thread, "_target", None)
    target = getattr(target, "__func__", target)
    return thread.daemon and getattr(target, "__module__", None) not in _RUN_ANYTHING and is_imported(target)
