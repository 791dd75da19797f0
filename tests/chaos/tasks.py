"""What the load calls: each call first writes one line to the side file, so that no run goes unseen.

Then it looks for what others may have left in its worker, and does not give its value if there is anything.
"""

from collections.abc import Callable


def _mark(side: str, token: int) -> None:
    import os
    import time

    line = f"{token} {os.getpid()} {os.getppid()} {time.time_ns()}\n"
    descriptor = os.open(side, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.write(descriptor, line.encode())
    os.close(descriptor)
    _check_clean()


def _check_clean() -> None:
    import os
    import pickle
    import random
    import signal
    import sys
    import threading
    import time
    import warnings

    for descriptor, stream in enumerate((sys.stdin, sys.stdout, sys.stderr)):
        os.fstat(descriptor)
        stream.flush()
    found = {
        "files": os.listdir(os.getcwd()),
        "variables": [name for name in os.environ if name == "LEFT_BEHIND"],
        "filters": [one for one in warnings.filters if one[0] == "error"],
        "alarm": [left for left in signal.getitimer(signal.ITIMER_REAL) if left],
        "handlers": [signal.getsignal(signal.SIGALRM)] if callable(signal.getsignal(signal.SIGALRM)) else [],
        "threads": threading.enumerate()[1:],
        "seed": [drawn for drawn in [random.random()] if drawn == random.Random(5).random()],
        "zone": [name for name in time.tzname if name == "LEFT"],
        "pickle": pickle.loads(pickle.dumps([])),
    }
    if any(found.values()):
        raise RuntimeError(f"found what another call has left: {found}")


def double(token: int, side: str) -> int:
    _mark(side, token)
    return 2 * token


def nap(token: int, side: str, seconds: float) -> int:
    import time

    _mark(side, token)
    time.sleep(seconds)
    return 2 * token


def complain(token: int, side: str) -> None:
    _mark(side, token)
    raise ValueError(f"call {token} does not like it here")


def reverse(token: int, side: str, data: bytes) -> bytes:
    _mark(side, token)
    return data[::-1]


def die(token: int, side: str, how: int) -> None:
    """By a signal, by leaving, by spoiling what it shares with its agent, or by reading where nothing is."""
    import ctypes
    import os
    import signal
    import time

    _mark(side, token)
    if how == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    elif how == 1:
        os._exit(3)
    elif how == 2:
        for name in os.listdir("/proc/self/fd"):
            path = f"/proc/self/fd/{name}"
            if os.path.lexists(path) and "funcledger-cell" in os.readlink(path):
                with open(path, "r+b", buffering=0) as cell:
                    cell.write(os.urandom(24))
                    time.sleep(60)
    ctypes.string_at(0)


def _soil_modules() -> None:
    """What is found by other means than what belongs to the process."""
    import os
    import pickle
    import random
    import time

    random.seed(5)
    os.environ["TZ"] = "LEFT-9"
    time.tzset()
    pickle.dumps = pickle.loads = None  # type: ignore[assignment]


def soil(token: int, side: str, how: int) -> int:
    """Leave something behind in the worker; the alarm is far off, since it may be frozen for a while."""
    import os
    import signal
    import sys
    import tempfile
    import threading
    import time
    import warnings

    _mark(side, token)
    if how == 0:
        os.chdir(tempfile.mkdtemp())
        os.rmdir(os.getcwd())
    elif how == 1:
        os.rmdir(os.getcwd())
    elif how == 2:
        for stream in (sys.stdout, sys.stderr, sys.stdin):
            stream.close()
        os.close(1)
    elif how == 3:
        signal.signal(signal.SIGALRM, lambda *_: sys.exit(1))
        signal.alarm(20)
    elif how == 4:
        os.environ["LEFT_BEHIND"] = "1"
        del os.environ["PATH"]
        warnings.simplefilter("error")
    elif how == 5:
        threading.Thread(target=time.sleep, args=(600,)).start()
    elif how == 6:
        _soil_modules()
    else:
        with open("left behind", "w") as file:
            file.write(side)
    return 2 * token


def fell(token: int, side: str) -> None:
    """Kill the agent, if that is still this worker's parent."""
    import os
    import pathlib
    import signal
    import time

    _mark(side, token)
    parent = os.getppid()
    if b"endpoint\0run" in pathlib.Path(f"/proc/{parent}/cmdline").read_bytes():
        os.kill(parent, signal.SIGKILL)
    time.sleep(60)


FUNCTIONS: tuple[Callable[..., object], ...] = (double, nap, complain, reverse, die, soil, fell)
