"""How long tests wait: told in seconds of a quick machine, scaled by a fixed loop that is measured once.

A deadline in a test says that something does not come at all; it is of the machine, not of the product. So
every wait that is a number of seconds goes through :func:`scaled` (``until`` and the other helpers here do it
themselves), and so does the bound on what a machine's speed counts in.
"""

import functools
import os
import tempfile
import time

#: Holds the measured factor for the processes of a run, or one that somebody wants instead.
VARIABLE = "TESTS_SLOWNESS"
#: What the loop takes on the machine on which the deadlines were written, in seconds.
_QUICK = 0.1
#: Slower than this is not a slow machine, but a broken one.
_SLOWEST = 10.0
#: Tests that run beside others (pytest -n) have a part of the machine.
_BESIDE_OTHERS = 2.0


@functools.cache
def slowness() -> float:
    """How many times longer than a quick machine this one takes; 1 where it is as quick, or quicker."""
    told = os.environ.get(VARIABLE) or str(max(1.0, min(_SLOWEST, _loop() / _QUICK)))
    os.environ[VARIABLE] = told  # for the processes that this one starts, which would measure a busy machine
    return float(told)


def factor(beside_others: bool | None = None) -> float:
    """What deadlines are multiplied by; whether tests run beside others is known where these run."""
    if beside_others is None:
        beside_others = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1")) > 1
    return slowness() * (_BESIDE_OTHERS if beside_others else 1.0)


def scaled(seconds: float) -> float:
    """So many seconds of a quick machine, in seconds of this one."""
    return seconds * factor()


def _loop() -> float:
    """The best of three rounds of what tests are made of: Python, and waiting for the disk; in seconds."""
    with tempfile.TemporaryFile() as file:
        return min(_round(file.fileno()) for _ in range(3))


def _round(file: int) -> float:
    begun = time.perf_counter()
    found: dict[int, int] = {}
    for number in range(1_000_000):
        found[number % 1000] = found.get(number % 1000, 0) + number
    for _ in range(50):
        os.write(file, b"x" * 4096)
        os.fsync(file)
    return time.perf_counter() - begun
