"""How long calls of each function take, as far as seen: what decides how many may wait at a worker."""

from collections import OrderedDict

#: Work that may wait at one worker behind the running call, in seconds.
QUEUED = 0.008
#: What a call costs a worker beside the function itself, in seconds.
_OVERHEAD = 20e-6
#: Most calls that may be at one worker.
MOST = 128
_REMEMBERED = 10_000


class Pace:
    """Estimates per function, quick to believe in slowness and slow to believe in haste."""

    def __init__(self) -> None:
        self._seconds: OrderedDict[str, float] = OrderedDict()

    def note(self, function_hash: str, run_time: float) -> None:
        """A call of this function took so many seconds."""
        known = self._seconds.get(function_hash)
        if known is None:
            while len(self._seconds) >= _REMEMBERED:
                self._seconds.popitem(last=False)
            known = run_time
        self._seconds[function_hash] = run_time if run_time > known else 0.9 * known + 0.1 * run_time

    def depth(self, function_hash: str) -> int:
        """How many calls may be at one worker: one, until it is known to be short."""
        seconds = self._seconds.get(function_hash)
        return 1 if seconds is None else min(MOST, 1 + int(QUEUED / (seconds + _OVERHEAD)))
