"""One worker process: started, spoken to over pipes, watched, and ended with all that it started."""

import asyncio
import contextlib
import fcntl
import logging
import os
import resource
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import IO, NamedTuple

from funcledger_endpoint.local import family, frames
from funcledger_endpoint.local.cell import Cell
from funcledger_endpoint.local.directories import Directories
from funcledger_endpoint.local.strangers import MARK
from funcledger_schemas.frames import FrameError, Splitter
from funcledger_schemas.ids import new_id

_log = logging.getLogger(__name__)

_READ = 1 << 18
_PIPE_SIZE = 1 << 20
_MEMORY_UNIT = 1 if sys.platform == "darwin" else 1024
#: What a worker says by the code that it ends with.
_MEANINGS = {
    frames.DESCRIPTORS_CLOSED: (
        ", since a task has closed descriptors that the worker needs; "
        "let a task close only those that it has opened"
    ),
    frames.UNSOUND: (
        ", since its own code failed after what this task, or one before it, has changed in modules that all "
        "tasks share; it is replaced"
    ),
}


class Exit(NamedTuple):
    """How a worker ended: its exit code (negative: the signal) and highest resident memory in bytes.

    The system counts what the agent had when it started the worker as the worker's own; a peak that
    is not above that is known only to have been no higher (``at_most``).
    """

    pid: int
    code: int
    peak_memory: int
    at_most: bool

    def __str__(self) -> str:
        how = f"exited with code {self.code}{_MEANINGS.get(self.code, '')}"
        if self.code < 0:
            how = f"was ended by {_signal_name(-self.code)}"
        return f"{how}; its peak memory was {'at most ' * self.at_most}{self.peak_memory / 2**20:.1f} MiB"


def _signal_name(number: int) -> str:
    try:
        return f"signal {number} ({signal.Signals(number).name})"
    except ValueError:
        return f"signal {number}"


class WorkerProcess:
    """A running worker.

    ``on_messages`` gets what it says, ``on_exit`` is told once when it is gone and all it said has been
    passed on; both from the event loop. ``output`` is the file that its functions print to, ``environment``
    all that it is given, ``directories`` where its calls begin. ``memory``, in bytes, and ``tasks_of_user``
    are what the worker has the kernel hold it to, 0 for no limit.
    """

    def __init__(
        self,
        on_messages: Callable[[Sequence[bytes]], None],
        on_exit: Callable[[Exit], None],
        output: IO[bytes] | int | None = None,
        *,
        environment: Mapping[str, str],
        directories: Directories,
        memory: int = 0,
        tasks_of_user: int = 0,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._on_messages, self._on_exit = on_messages, on_exit
        self._splitter = Splitter(frames.MESSAGE_LIMIT)
        self._unsent = bytearray()
        self._kill_timer: asyncio.TimerHandle | None = None
        self.cell, cell = Cell.create()
        calls, self._calls = os.pipe()
        self._reports, reports = os.pipe()
        life, self._life = os.pipe()
        for end in (self._calls, self._reports):
            os.set_blocking(end, False)
            _widen(end)
        theirs = (calls, reports, cell, life)
        #: What all that its tasks start has in its environment.
        self.mark = new_id()
        #: Orphans of its tasks, which are not among its descendants any more.
        self.orphans: list[int] = []
        #: What it has said that cannot be true, empty while it has not.
        self.lie = ""
        self._inherited = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        try:
            where = directories.of_worker(self.mark), directories.keep
            self._process = _spawn(
                (*theirs, memory, tasks_of_user, *where), theirs, output, {**environment, MARK: self.mark}
            )
        finally:
            for end in theirs:
                os.close(end)
        self.pid = self._process.pid
        self._loop.add_reader(self._reports, self._read)
        threading.Thread(target=self._wait, name=f"wait-{self.pid}", daemon=True).start()

    def send(self, data: bytes) -> None:
        """Give it messages; what its pipe does not take now follows as soon as it can."""
        if self._unsent:
            self._unsent += data
            return
        try:
            written = os.write(self._calls, data)
        except BlockingIOError:
            written = 0
        except BrokenPipeError:
            return  # it is gone, as we shall be told
        if written < len(data):
            self._unsent += memoryview(data)[written:]
            self._loop.add_writer(self._calls, self._write)

    def _write(self) -> None:
        try:
            del self._unsent[: os.write(self._calls, self._unsent)]
        except BlockingIOError:
            return
        except BrokenPipeError:
            self._unsent.clear()
        if not self._unsent:
            self._loop.remove_writer(self._calls)

    def end(self, patience: float) -> None:
        """SIGTERM to its process group, SIGKILL after ``patience`` seconds."""
        if self._kill_timer is None:
            self._signal(signal.SIGTERM)
            self._kill_timer = self._loop.call_later(patience, self.kill)

    def kill(self) -> None:
        """SIGKILL to its process group and to whatever else its tasks have started."""
        family.kill((self.pid, *self.orphans), self.pid)

    def weigh(self, memory: int, processes: int | None) -> family.Weight:
        """What it and its tasks' processes take; memory is exact where that decides (``family.weigh``)."""
        return family.weigh((self.pid, *self.orphans), memory, processes)

    def _signal(self, number: int) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, number)

    def _read(self) -> bool:
        """Pass on what it has said; whether there was anything."""
        try:
            data = os.read(self._reports, _READ)
        except BlockingIOError:
            return False
        if not data:
            self._loop.remove_reader(self._reports)
            return False
        try:
            self._on_messages(self._splitter.feed(data))
        except (FrameError, frames.BadMessage) as error:
            self.disbelieve(error)
            return False
        return True

    def disbelieve(self, error: Exception) -> None:
        """A task has written into the pipe or the cell, so nothing that comes after can be believed."""
        _log.error("worker process %d says what it cannot mean (%s); it is ended", self.pid, error)
        self.lie = self.lie or str(error)
        self._loop.remove_reader(self._reports)
        self.kill()

    def _wait(self) -> None:
        """In a thread of its own, since the end of a pipe says nothing when a task has left children."""
        _, status, usage = os.wait4(self.pid, 0)
        code = os.waitstatus_to_exitcode(status)
        self._process.returncode = code
        ended = Exit(self.pid, code, usage.ru_maxrss * _MEMORY_UNIT, usage.ru_maxrss <= self._inherited)
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody wants to know
            self._loop.call_soon_threadsafe(self._gone, ended)

    def _gone(self, ended: Exit) -> None:
        while not self.lie and self._read():
            pass
        self._signal(signal.SIGKILL)  # what its tasks have started ends with it
        if self._kill_timer is not None:
            self._kill_timer.cancel()
        self._loop.remove_reader(self._reports)
        self._loop.remove_writer(self._calls)
        for end in (self._calls, self._reports, self._life):
            os.close(end)
        self._on_exit(ended)
        self.cell.close()


#: glibc serves payload-sized blocks from the heap, instead of mapping and unmapping memory for each.
_ALLOCATION = {"MALLOC_MMAP_THRESHOLD_": str(16 << 20), "MALLOC_TRIM_THRESHOLD_": str(64 << 20)}


def _spawn(
    arguments: Sequence[object],
    theirs: Sequence[int],
    output: IO[bytes] | int | None,
    environment: Mapping[str, str],
) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-P", "-m", "funcledger_endpoint.worker", *map(str, arguments)]
    return subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT if output is not None else None,
        pass_fds=theirs,
        close_fds=True,
        env={**_ALLOCATION, **environment},
        start_new_session=True,
    )


def _widen(pipe: int) -> None:
    """Let a whole payload through at once where the system allows it."""
    if hasattr(fcntl, "F_SETPIPE_SZ"):
        with contextlib.suppress(OSError):
            fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, _PIPE_SIZE)
