"""FAULTS 34: whatever a task leaves behind in its worker, the tasks after it see none of it."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from tests.support.endpoint import Endpoint
from tests.support.poll import until

from funcledger_endpoint.local.directories import Keep

pytestmark = pytest.mark.fault(34)


def surroundings() -> dict[str, Any]:
    """All that a task may find changed, as far as it can be told."""
    import decimal
    import gc
    import locale
    import os
    import resource
    import signal
    import sys
    import threading
    import warnings

    print("one line")
    os.write(1, b"")
    os.write(2, b"")
    directory = os.getcwd()
    return {
        "pid": os.getpid(),
        "directory": os.path.dirname(directory),
        "files": os.listdir(directory),
        "environment": dict(os.environ),
        "streams": [repr(stream) for stream in (sys.stdin, sys.stdout, sys.stderr)],
        "outside": [os.fstat(descriptor)[1:3] for descriptor in range(3)],
        "filters": repr(warnings.filters),
        "showing": warnings.showwarning.__name__,
        "handlers": [str(signal.getsignal(n)) for n in sorted(signal.valid_signals())],
        "mask": signal.pthread_sigmask(signal.SIG_BLOCK, ()),
        "timers": signal.getitimer(signal.ITIMER_REAL),
        "umask": [os.umask(0o22), os.umask(0o22)][0],
        "locale": locale.setlocale(locale.LC_ALL),
        "limits": [resource.getrlimit(which) for which in (resource.RLIMIT_CORE, resource.RLIMIT_NOFILE)],
        "threads": [thread.name for thread in threading.enumerate()],
        "recursion": sys.getrecursionlimit(),
        "collects": gc.isenabled(),
        "precision": decimal.getcontext().prec,
        **common_modules(),
    }


def common_modules() -> dict[str, Any]:
    """What a task may find changed in modules that it shares with others; none draws what another does."""
    import asyncio
    import copyreg
    import json
    import logging
    import numbers
    import pickle
    import random
    import socket
    import sys
    import threading
    import time

    import statistics  # isort: skip

    def loop() -> str:
        found = asyncio.get_event_loop_policy().get_event_loop()
        return f"{found.is_closed()}"

    return {
        "zone": (time.tzname, time.localtime(0).tm_hour),
        "hooks": [repr(hook) for hook in (sys.getprofile(), sys.gettrace(), sys.excepthook)],
        "thread hooks": [repr(hook) for hook in (threading.excepthook, threading.getprofile())],
        "interval": sys.getswitchinterval(),
        "digits": sys.get_int_max_str_digits(),
        "timeout": socket.getdefaulttimeout(),
        "loggers": [
            (name, logging.getLogger(name).handlers, logging.getLogger(name).getEffectiveLevel())
            for name in (None, "of.the.test")
        ],
        "logs": logging.getLogger().isEnabledFor(logging.CRITICAL),
        "reducers": sorted(map(str, copyreg.dispatch_table)),
        "complex": copyreg.dispatch_table[complex].__name__,
        "number": isinstance("", numbers.Number),
        "path": list(sys.path),
        "mean": statistics.mean([1, 3]),
        "pickle": pickle.loads(pickle.dumps([json.loads(json.dumps([1]))])),
        "loop": loop(),
        "drawn": random.random(),
    }


def seeds() -> None:
    import random

    random.seed(0)


def changes_the_zone() -> None:
    import os
    import time

    os.environ["TZ"] = "Asia/Tokyo"
    time.tzset()


def changes_the_zone_by_looking_at_it() -> None:
    import os
    import time

    os.environ["TZ"] = "Asia/Tokyo"
    time.mktime(time.localtime(0))


def changes_hooks() -> None:
    import sys
    import threading

    sys.setprofile(lambda *_: None)
    sys.settrace(lambda *_: None)
    threading.setprofile(lambda *_: None)
    sys.excepthook = threading.excepthook = lambda *_: None  # type: ignore[assignment]


def changes_numbers_of_modules() -> None:
    import socket
    import sys

    sys.setswitchinterval(1.0)
    sys.set_int_max_str_digits(0)
    socket.setdefaulttimeout(0.001)


def changes_loggers() -> None:
    import logging

    logging.basicConfig(filename="log", level=logging.DEBUG)
    logging.getLogger("of.the.test").addHandler(logging.NullHandler())
    logging.getLogger("of.the.test").setLevel(1)
    logging.disable()


def registers() -> None:
    import copyreg

    copyreg.pickle(complex, lambda _: (complex, ()))
    copyreg.pickle(slice, lambda _: (slice, (1,)))


def changes_what_is_imported() -> None:
    import sys

    sys.modules["statistics"] = None  # type: ignore[assignment]
    sys.path.insert(0, "/nowhere")


def replaces_the_path() -> None:
    import sys

    sys.path = ["/nowhere", *sys.path]


def patches_what_the_worker_uses() -> None:
    import json
    import pickle

    pickle.dumps = pickle.loads = json.dumps = json.loads = None  # type: ignore[assignment]


def leaves_an_event_loop() -> None:
    import asyncio

    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    loop.close()


async def runs_in_a_loop() -> None:
    """Which Python ends so that there is none afterwards."""


def closes_descriptors() -> None:
    import contextlib
    import os

    os.closerange(3, 1024)
    for descriptor in range(3, 1024):
        with contextlib.suppress(OSError):
            os.close(descriptor)


def registers_for_good() -> None:
    import numbers

    numbers.Number.register(str)


def removes_its_directory() -> None:
    import os

    os.rmdir(os.getcwd())  # which must be empty, and is not where this does not work yet


def goes_elsewhere_and_leaves_files() -> None:
    import os
    import pathlib
    import tempfile

    pathlib.Path("out.csv").write_text("1")
    os.mkdir("sub")
    os.chmod("sub", 0)
    with tempfile.TemporaryDirectory() as gone:
        os.chdir(gone)


def closes_its_streams() -> None:
    import sys

    for stream in (sys.stdout, sys.stderr, sys.stdin):
        stream.close()


def detaches_and_replaces_its_streams() -> None:
    import io
    import sys

    sys.stderr.detach()  # type: ignore[union-attr]
    sys.stdout = io.TextIOWrapper(sys.stdout.buffer, encoding="latin-1")


def points_descriptors_elsewhere() -> None:
    import os

    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)
    os.close(2)
    with open(0, "rb"):
        pass


def closes_what_is_under_its_output() -> None:
    with open(1, "wb"):
        pass


def turns_warnings_into_errors() -> None:
    import warnings

    warnings.simplefilter("error")
    warnings.showwarning = print  # type: ignore[assignment]


def sets_alarms_and_handlers() -> None:
    import signal
    import sys

    signal.signal(signal.SIGALRM, lambda *_: sys.exit(3))
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.setitimer(signal.ITIMER_REAL, 0.02)
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})


def changes_the_environment() -> None:
    import os

    os.environ["OMP_NUM_THREADS"] = "77"
    os.environ["LEFT_BEHIND"] = "1"
    del os.environ["PATH"]
    os.putenv("UNSEEN", "1")


def empties_and_replaces_the_environment() -> None:
    import os

    os.environ.clear()
    os.environ = {"PATH": ""}  # type: ignore[assignment]  # noqa: B003


def changes_numbers_of_the_process() -> None:
    import decimal
    import gc
    import locale
    import os
    import resource
    import sys

    os.umask(0o777)
    locale.setlocale(locale.LC_ALL, "C.UTF-8" if locale.setlocale(locale.LC_ALL) == "C" else "C")
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
    sys.setrecursionlimit(60)
    gc.disable()
    decimal.getcontext().prec = 2


def lowers_a_limit_for_good() -> None:
    import resource

    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def leaves_a_thread() -> None:
    import os
    import threading
    import time

    def meddle() -> None:
        while True:
            time.sleep(0.001)
            os.environ["MEDDLED"] = "1"

    threading.Thread(target=meddle).start()


def leaves_a_daemon() -> None:
    import threading
    import time

    threading.Thread(target=lambda: time.sleep(600), daemon=True).start()


def leaves_a_thread_of_the_lowest_kind() -> None:
    import _thread
    import time

    _thread.start_new_thread(lambda: time.sleep(600), ())
    time.sleep(0.02)  # until it runs, which is when it counts


def leaves_a_thread_that_ends() -> None:
    import os
    import threading
    import time

    def last() -> None:
        time.sleep(0.01)
        os.chdir("/")

    threading.Thread(target=last).start()


PUT_BACK = (
    removes_its_directory, goes_elsewhere_and_leaves_files, closes_its_streams,
    detaches_and_replaces_its_streams, points_descriptors_elsewhere, closes_what_is_under_its_output,
    turns_warnings_into_errors, sets_alarms_and_handlers, changes_the_environment,
    empties_and_replaces_the_environment, changes_numbers_of_the_process, leaves_a_thread_that_ends,
    seeds, changes_the_zone, changes_the_zone_by_looking_at_it, changes_hooks, changes_numbers_of_modules,
    changes_loggers, registers, changes_what_is_imported, replaces_the_path, patches_what_the_worker_uses,
    leaves_an_event_loop, runs_in_a_loop, closes_descriptors,
)  # fmt: skip
REPLACED = (
    lowers_a_limit_for_good, leaves_a_thread, leaves_a_daemon, leaves_a_thread_of_the_lowest_kind,
    registers_for_good,
)  # fmt: skip


def seen(value: Mapping[str, Any]) -> dict[str, Any]:
    """What must be alike in workers of one endpoint."""
    left_out = ("pid", "directory", "environment", "drawn")
    found = {name: shown for name, shown in value.items() if name not in left_out}
    variables = {k: v for k, v in value["environment"].items() if not k.startswith("FUNCLEDGER")}
    return found | {"environment": variables}


async def test_what_a_task_leaves_behind_no_other_task_sees() -> None:
    """On the only worker, one dirty task after another, each with neighbours; most cost no new worker."""
    endpoint = await Endpoint.create()
    async with endpoint.agent(1):
        clean = await endpoint.value(await endpoint.submit(surroundings))
        drawn = set()
        worker = clean["pid"]
        for dirty in (*PUT_BACK, *REPLACED):
            tasks = [
                await endpoint.submission(function, max_attempts=1)
                for function in (dirty, *[surroundings] * 3)
            ]
            await endpoint.append(*tasks)
            await endpoint.value(tasks[0].task_id)
            found = [await endpoint.value(task.task_id) for task in tasks[1:]]
            for one in found:
                assert seen(one) == seen(clean), dirty.__name__
                assert one["drawn"] not in drawn, dirty.__name__
                drawn.add(one["drawn"])
            assert (found[0]["pid"] == worker) == (dirty in PUT_BACK), dirty.__name__
            worker = found[0]["pid"]


def lives_in_a_library(path: str) -> tuple[Any, ...]:
    """Imports a module as libraries are that set things up for themselves, with a thread of their own."""
    import os
    import sys
    import warnings

    sys.path.insert(0, path)
    import library_of_the_test  # type: ignore[import-not-found]

    sys.path.remove(path)
    os.environ["BY_THE_TASK"] = "1"
    sys.setswitchinterval(1.0)
    warnings.simplefilter("error")
    return os.getpid(), library_of_the_test.__file__


def asks_the_library() -> tuple[Any, ...]:
    import copyreg
    import logging
    import os
    import signal
    import sys
    import threading
    import warnings

    return (
        os.getpid(),
        os.environ.get("BY_THE_LIBRARY"),
        os.environ.get("BY_THE_TASK"),
        [str(shown[1].pattern) for shown in warnings.filters if shown[1] is not None][:1],
        any(shown[0] == "error" for shown in warnings.filters),
        getattr(signal.getsignal(signal.SIGUSR2), "__module__", None),
        [thread.name for thread in threading.enumerate()][1:],
        sys.getrecursionlimit(),
        [entry for entry in sys.path if "library" in entry],
        slice in copyreg.dispatch_table,
        sys.getswitchinterval(),
        [type(handler).__name__ for handler in logging.getLogger().handlers],
    )


LIBRARY = """
import copyreg, logging, os, signal, sys, threading, warnings
sys.path.append("/of/the/library")
copyreg.pickle(slice, repr)
sys.setswitchinterval(0.25)
logging.getLogger().addHandler(logging.NullHandler())
os.environ["BY_THE_LIBRARY"] = "2"
warnings.filterwarnings("ignore", message="of the library")
with warnings.catch_warnings():
    warnings.simplefilter("error")
def handle(*_): pass
signal.signal(signal.SIGUSR2, handle)
sys.setrecursionlimit(5000)
os.nice(1)
def look():
    threading.Event().wait()
threading.Thread(target=look, daemon=True, name="looks").start()
"""


async def test_what_a_module_does_when_it_is_imported_stays_as_the_module_does(tmp_path: Path) -> None:
    (tmp_path / "library_of_the_test.py").write_text(LIBRARY)
    endpoint = await Endpoint.create()
    async with endpoint.agent(1):
        pid, _ = await endpoint.value(await endpoint.submit(lives_in_a_library, str(tmp_path)))
        for _ in range(2):
            found = await endpoint.value(await endpoint.submit(asks_the_library))
            assert found == (
                pid,
                "2",
                None,
                ["of the library"],
                False,
                "library_of_the_test",
                ["looks"],
                5000,
                ["/of/the/library"],
                True,
                0.25,
                ["NullHandler"],
            )


def breaks_the_worker() -> None:
    from cloudpickle import cloudpickle

    del cloudpickle._make_function  # without which no function can be opened


def is_well() -> bool:
    return True


async def test_a_worker_whose_own_code_fails_is_replaced_and_the_task_is_tried_again() -> None:
    endpoint = await Endpoint.create()
    async with endpoint.agent(1):
        await endpoint.value(await endpoint.submit(breaks_the_worker))
        assert await endpoint.value(await endpoint.submit(is_well))
        await endpoint.value(await endpoint.submit(breaks_the_worker))
        once = await endpoint.outcome(await endpoint.submit(lambda: 1, max_attempts=1))
        assert once.kind == "WorkerDied"
        assert "its own code failed" in once.message
        assert await endpoint.value(await endpoint.submit(is_well))


def leaves_a_file(fails: bool, dies: bool = False) -> str:
    import os
    import pathlib

    pathlib.Path("out.csv").write_text("1,2")
    if dies:
        os._exit(1)
    if fails:
        raise ValueError("after it has written")
    return os.getcwd()


async def in_directories(keep: Keep, root: Path, *calls: tuple[bool, bool]) -> list[str]:
    """The ids of the tasks, which have ended, as have their workers."""
    endpoint = await Endpoint.create()
    async with endpoint.agent(1, directories=root, keep=keep):
        tasks = [await endpoint.submit(leaves_a_file, *call, max_attempts=1) for call in calls]
        await endpoint.outcomes(tasks)
        await endpoint.value(await endpoint.submit(surroundings))
    return tasks


def files(folder: Path) -> list[str]:
    """Of a folder that may be removed meanwhile, which `os.walk` does not mind."""
    found = [Path(where, name) for where, _, names in os.walk(folder) for name in names]
    return sorted(str(file.relative_to(folder)) for file in found)


@pytest.mark.parametrize(("keep", "kept"), [("never", []), ("on-failure", [1, 2]), ("always", [0, 1, 2])])
async def test_directories_of_tasks_are_removed_or_kept_by_the_tasks_id(
    keep: Keep, kept: list[int], tmp_path: Path
) -> None:
    """Also those of a worker that dies, and what an agent left that was killed."""
    left_by_an_agent = tmp_path / "running" / "earlier" / "1"
    left_by_an_agent.mkdir(parents=True)
    tasks = await in_directories(keep, tmp_path, (False, False), (True, False), (True, True))
    assert files(tmp_path / "kept") == sorted(f"{tasks[n]}/out.csv" for n in kept)
    await until(lambda: files(tmp_path / "running") == [])
