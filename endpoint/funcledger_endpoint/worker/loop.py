"""The worker's loop: read calls from the agent's pipe, make them one after another, report each at once."""

import contextlib
import errno
import gc
import os
import time
import traceback
from typing import NoReturn

from funcledger_endpoint.local import frames
from funcledger_endpoint.local.cell import Cell
from funcledger_endpoint.report import Report
from funcledger_endpoint.worker.call import SHORT, SelfTest, perform
from funcledger_endpoint.worker.descriptors import end_without
from funcledger_endpoint.worker.functions import Functions
from funcledger_endpoint.worker.limits import WorkerLimits
from funcledger_endpoint.worker.process_state import ProcessState
from funcledger_endpoint.worker.task_directory import TaskDirectory
from funcledger_endpoint.worker.threads import Threads
from funcledger_schemas.frames import Splitter

_READ = 1 << 20
#: Seconds; after a longer call, some µs to look closely at what it has left do not count.
_LONG = 1e-3
#: How calls end where it may be the worker that is at fault.
_DOUBTFUL = frozenset({"FunctionNotLoaded", "ArgumentsNotLoaded", "ResultNotSerializable"})


class Loop:
    """One worker; the first arguments are descriptors it has inherited."""

    def __init__(
        self, calls: int, reports: int, cell: int, limits: WorkerLimits, directory: TaskDirectory
    ) -> None:
        self._calls = calls
        self._reports = reports
        self._cell = Cell(cell)
        self._functions = Functions()
        self._limits = limits
        self._directory = directory
        self._state: ProcessState
        self._test: SelfTest
        self._threads: Threads
        self._splitter = Splitter(frames.MESSAGE_LIMIT)
        self._pid = os.getpid()

    def run(self) -> None:
        """Until the agent closes its end."""
        self._send(frames.pack_number(frames.READY))
        Functions.warm_up()
        self._test = SelfTest()
        # What was made until here stays: no collection during a task needs to look at it.
        gc.collect()
        gc.freeze()
        self._state, self._threads = ProcessState(), Threads()
        try:
            while data := os.read(self._calls, _READ):
                for message in self._splitter.feed(data):
                    self._handle(message)
        except OSError as error:
            if error.errno == errno.EBADF:
                end_without()
            raise

    def _handle(self, message: bytes) -> None:
        kind = message[0]
        if kind == frames.CALL:
            self._call(frames.read_call(message))
        elif kind == frames.FUNCTION:
            self._functions.add(frames.read_function(message))
        else:
            raise frames.BadMessage(f"a message of unknown kind {kind}")

    def _call(self, call: frames.Call) -> None:
        if not self._cell.begin(call.number, time.monotonic_ns()):
            self._send(frames.pack_number(frames.SKIPPED, call.number, call.key))
            return
        try:
            report = perform(self._functions, call, self._limits)
        except BaseException:
            self._give_up(traceback.format_exc())
        if os.getpid() != self._pid:
            os._exit(0)  # the function forked, and its child came back here: the parent speaks
        # Before it is reported, so that whatever still happens to this process is this call's affair.
        if unfit := self._unfit(call.number, report):
            _stderr(f"Worker process {self._pid} is replaced: {unfit}.\n")
            leaving = frames.pack_number(frames.LEAVING, call.number, call.key)
            self._send(leaving + frames.pack_report(call.number, call.key, report))
            os._exit(0)  # the next worker begins with nothing
        self._send(frames.pack_report(call.number, call.key, report))

    def _unfit(self, number: int, report: Report) -> str:
        """Put back what the call has changed; why no other call may be made here, or nothing."""
        unfit = self._put_back(number, report)
        if not unfit and self._threads.left:
            unfit = self._threads.settle() or self._put_back(number, report)
        if not unfit and self._limits.exhausted:
            unfit = "a call that was out of memory has left too much of it taken"
        if not unfit and report.kind in _DOUBTFUL and not self._test.passes():
            self._give_up(report.message)
        return unfit

    def _put_back(self, number: int, report: Report) -> str:
        """Have the next call find what this one found; what is in the way of that, or nothing."""
        run_time = report.run_time
        short = run_time < SHORT and not report.kind
        closely = self._functions.meddles or run_time > _LONG
        if self._state.changed(short=short, closely=closely):
            if unfit := self._state.put_back():
                return unfit
            self._directory.return_to()
        if not short and self._directory.used:
            self._directory.leave(number, failed=bool(report.kind))
        return ""

    def _give_up(self, why: str) -> NoReturn:
        """The worker's own code has failed: the agent knows by the code, and has the call made elsewhere."""
        if os.getpid() == self._pid:
            _stderr(f"Worker process {self._pid} is replaced, since its own code fails: {why}\n")
        os._exit(frames.UNSOUND)

    def _send(self, message: bytes) -> None:
        written = os.write(self._reports, message)
        while written < len(message):
            written += os.write(self._reports, memoryview(message)[written:])


def _stderr(text: str) -> None:
    """To the log, whatever a call has made of the stream."""
    with contextlib.suppress(OSError):
        os.write(2, text.encode(errors="backslashreplace"))
