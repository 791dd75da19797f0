"""The worker's loop: read calls from the agent's pipe, make them one after another, report each at once."""

import gc
import os
import time

from funcledger_endpoint.local import frames
from funcledger_endpoint.local.cell import Cell
from funcledger_endpoint.worker.call import perform
from funcledger_endpoint.worker.functions import Functions
from funcledger_endpoint.worker.limits import WorkerLimits
from funcledger_schemas.frames import Splitter

_READ = 1 << 20


class Loop:
    """One worker; the first arguments are descriptors it has inherited."""

    def __init__(self, calls: int, reports: int, cell: int, limits: WorkerLimits) -> None:
        self._calls = calls
        self._reports = reports
        self._cell = Cell(cell)
        self._functions = Functions()
        self._limits = limits
        self._splitter = Splitter(frames.MESSAGE_LIMIT)
        self._pid = os.getpid()

    def run(self) -> None:
        """Until the agent closes its end."""
        self._send(frames.pack_number(frames.READY))
        Functions.warm_up()
        # What was made until here stays: no collection during a task needs to look at it.
        gc.collect()
        gc.freeze()
        while data := os.read(self._calls, _READ):
            for message in self._splitter.feed(data):
                self._handle(message)

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
        report = perform(self._functions, call, self._limits)
        if os.getpid() != self._pid:
            os._exit(0)  # the function forked, and its child came back here: the parent speaks
        self._send(frames.pack_report(call.number, call.key, report))
        if self._limits.exhausted:
            os._exit(0)  # the next worker begins with nothing

    def _send(self, message: bytes) -> None:
        written = os.write(self._reports, message)
        while written < len(message):
            written += os.write(self._reports, memoryview(message)[written:])
