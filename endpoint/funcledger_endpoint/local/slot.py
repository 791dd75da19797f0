"""One worker slot: its process, the calls handed to it, and how they are told of, taken back or ended."""

import asyncio
import os
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence

from funcledger_endpoint.engine import Listener, Loss
from funcledger_endpoint.local import frames
from funcledger_endpoint.local.account import Account
from funcledger_endpoint.local.directories import Directories
from funcledger_endpoint.local.given import Given
from funcledger_endpoint.local.limits import Limits, memory_asked, memory_in_force, walltime_in_force
from funcledger_endpoint.local.output import CallNames, TaskOutput
from funcledger_endpoint.local.pace import Pace
from funcledger_endpoint.local.scales import Scales
from funcledger_endpoint.local.worker_process import Exit, WorkerProcess
from funcledger_endpoint.report import Report
from funcledger_endpoint.task import Task

#: Payload bytes that may wait at a worker behind its first call.
_WAITING_BYTES = 4 << 20
#: Seconds a call may run before what waits behind it is taken back.
_STUCK = 0.02
#: Seconds that a lowered limit is given to be seen by the worker.
_SETTLE = 0.002


class Slot:
    """Numbers the calls of one worker; ``queue`` holds those not ended, oldest first: number, task and key.

    ``on_gone`` is told when the process has ended, with whether it had got as far as a call.
    """

    def __init__(
        self,
        name: str,
        pace: Pace,
        on_gone: Callable[["Slot", Exit, bool], None],
        *,
        output: TaskOutput | None,
        patience: float,
        limits: Limits,
        environment: Callable[[], Mapping[str, str]],
        directories: Directories,
    ) -> None:
        self.name = name
        self.queue: deque[tuple[int, Task, int]] = deque()
        #: A careful task that waits for its TaskStarted to be durable.
        self.held: Task | None = None
        self._pace, self._on_gone, self._output, self._patience = pace, on_gone, output, patience
        self._limits, self._environment, self._directories = limits, environment, directories
        self._keeps = directories.keep != "never"
        self._listener: Listener
        self._process: WorkerProcess | None = None
        self._account: Account
        self._scales = Scales(limits)
        self._ready = False
        #: Whether the process ends by itself after its next report.
        self._leaving = False
        #: Why the process is being ended, while it is.
        self._ending: Loss | None = None
        self._gathered: list[bytes] = []
        self._waiting_bytes = 0
        #: Calls numbered so far, and the last of those being taken back, 0 when none are.
        self._number = self._recalled = 0
        self._given = Given()
        self._keys = frames.new_keys()
        self._names = CallNames()

    def spawn(self, listener: Listener, tasks_of_user: int = 0) -> None:
        """Start a process for this slot; ``tasks_of_user`` is what the worker itself is to keep to."""
        self._listener = listener
        self._given.clear()
        self._number = self._recalled = 0
        self._names = CallNames()
        output = self._output.open(self._names) if self._output is not None else None
        self._process = WorkerProcess(
            self._heard, self._gone, output,
            environment=self._environment(), directories=self._directories,
            memory=self._limits.memory or 0, tasks_of_user=tasks_of_user,
        )  # fmt: skip
        if output is not None:
            os.close(output)
        self._account = Account(self._process.cell, time.monotonic_ns())

    @property
    def running(self) -> bool:
        """Whether it has a process."""
        return self._process is not None

    @property
    def process(self) -> WorkerProcess | None:
        """Its process, while it has one."""
        return self._process

    def room(self, depth: int) -> bool:
        """Whether one more call may wait here, of a function of which ``depth`` may be at a worker.

        A worker is filled up once it has worked off half, so that calls go over in few and large writes.
        """
        if not self._ready or self._recalled or self._ending is not None or self.held is not None:
            return False
        waiting = len(self.queue)
        if not waiting:
            return True
        return waiting < (depth if self._gathered else depth // 2) and self._waiting_bytes < _WAITING_BYTES

    def put(self, task: Task, function: bytes, *, careful: bool) -> None:
        """Take the task; :meth:`flush` hands it over, for a careful one :meth:`release`."""
        call = task.call
        function_number = self._given.call(call.function_hash)
        if function_number is None:
            function_number, given = self._given.give(call.function_hash, function)
            self._gathered.append(given)
        self._number += 1
        key = next(self._keys)
        self.queue.append((self._number, task, key))
        self._names.note(self._number, task.task_id)
        self._waiting_bytes += len(call.payload)
        memory = memory_asked(call.resource_specification)
        self._gathered.append(
            frames.pack_call(self._number, key, function_number, memory, call.payload_format, call.payload)
        )
        if careful:
            self.held = task
            asyncio.get_running_loop().call_soon(self._announce_held, task)

    def _announce_held(self, task: Task) -> None:
        if self.held is task:
            self._announce(task)

    def _announce(self, task: Task) -> None:
        if not task.announced:
            self._listener.begun(task, self.name)

    def flush(self) -> None:
        """Hand over what was taken."""
        if self._gathered and self.held is None and self._process is not None:
            data = b"".join(self._gathered)
            self._gathered.clear()
            self._account.handed = self._number
            self._process.send(data)

    def release(self) -> None:
        """Hand the careful task over; it counts as begun from now on, whatever its worker says."""
        self.held = None
        self._account.presume(self._number)
        self.flush()

    def look(self, now: int) -> None:
        """See what the worker is at (``now`` in monotonic ns): tell of it, end it when over its walltime."""
        if not self.queue or self._process is None or self._ending is not None:
            return
        number, task, _ = self.queue[0]
        try:
            if not self._account.runs(number, now):
                return
        except frames.BadMessage as error:
            self._process.disbelieve(error)
            return
        self._announce(task)
        running = self._account.running(number, now)
        walltime, whose = walltime_in_force(self._limits, task.call.walltime)
        if walltime is not None and running > walltime:
            self.end(Loss("WalltimeExceeded", f"the call was ended after {running:.2f} s; {whose}"))
        elif running > _STUCK and len(self.queue) > 1 and not self._recalled:
            self._pace.note(task.call.function_hash, running)
            self.recall()

    def weigh(self) -> None:
        """See what the worker and all that its tasks have started take; end it at once when over a limit."""
        if self._process is None or self._ending is not None:
            return
        asked = self.queue[0][1].call.resource_specification if self.queue else None
        if (why := self._scales.over(self._process, asked)) is not None:
            self._ending = Loss("LimitExceeded", why)
            self._process.kill()

    def recall(self) -> None:
        """Take back what the worker has not begun, a moment from now; until then nothing new comes here."""
        if self.queue and self.held is None and self._process is not None and self._ending is None:
            try:
                self._account.hold()
            except frames.BadMessage as error:
                self._process.disbelieve(error)
                return
            self._recalled = self._number
            asyncio.get_running_loop().call_later(_SETTLE, self._settle)

    def _settle(self) -> None:
        if not self._recalled or self._process is None:
            return
        try:
            back = self._drop(self._account.begun)
        except frames.BadMessage as error:
            self._process.disbelieve(error)
            return
        if back:
            self._listener.returned(back)
            self._listener.room()

    def _drop(self, begun: int) -> list[Task]:
        """Forget the calls after this one; returns their tasks."""
        dropped = [task for number, task, _ in self.queue if number > begun]
        self.queue = deque(entry for entry in self.queue if entry[0] <= begun)
        self._waiting_bytes = sum(len(task.call.payload) for _, task, _ in self.queue)
        return dropped

    def cancel(self, task: Task) -> None:
        """Take the task back if it has not begun, else end the process."""
        if self.held is task:
            self.held = None
            # Its call alone: a function gathered before it is still owed, as later calls name its number.
            self._gathered.pop()
            self._listener.returned(self._drop(0))
            return
        self.recall()
        asyncio.get_running_loop().call_later(_SETTLE, self._end_call, task)

    def _end_call(self, task: Task) -> None:
        self._settle()
        if self.has(task):
            self.end(Loss("Cancelled", "it was ended because somebody asked for the task to be cancelled"))

    def has(self, task: Task) -> bool:
        """Whether the task is here."""
        return any(mine is task for _, mine, _ in self.queue)

    def end(self, why: Loss) -> None:
        """End the process; the call it is in is lost for this reason, whatever it may still say."""
        if self._process is not None and self._ending is None:
            self._ending = why
            self._process.end(self._patience)

    def _heard(self, messages: Sequence[bytes]) -> None:
        for message in messages:
            kind = message[0] if message else 0
            if kind == frames.REPORT:
                self._report(*frames.read_report(message))
            elif kind == frames.SKIPPED:
                self._skipped(*frames.read_number(message))
            elif kind == frames.READY and not self._ready and frames.read_number(message) == (0, 0):
                self._ready = True
            elif kind == frames.LEAVING and self.queue:
                self._leave(*frames.read_number(message))
            else:
                raise frames.BadMessage(f"a worker's message of unknown kind {kind}")
        self._listener.room()

    def _report(self, number: int, key: int, report: Report) -> None:
        if not self.queue or self.queue[0][0] != number:
            raise frames.BadMessage(f"a report on call {number}, which was not this worker's to make")
        self._check_key(key)
        self._account.reported(number, report, time.monotonic_ns())
        if self._ending is not None:
            return
        _, task, _ = self.queue.popleft()
        self._waiting_bytes -= len(task.call.payload)
        self._pace.note(task.call.function_hash, report.run_time)
        if self._keeps and self._process is not None:
            self._directories.put_away(self._process.mark, number, task.task_id)
        self._announce(task)
        self._listener.finished(task, report)
        self._passed(number)
        if self._leaving and self._process is not None:
            self._process.end(self._patience)

    def _leave(self, number: int, key: int) -> None:
        """The process ends after this report."""
        if self.queue[0][0] != number:
            raise frames.BadMessage(f"it leaves with call {number}, which is not the one it is at")
        self._check_key(key)
        self._ready, self._leaving = False, True

    def _check_key(self, key: int) -> None:
        number, _, given = self.queue[0]
        if key != given:
            raise frames.BadMessage(f"what it says of call {number} comes without the key of that call")

    def _skipped(self, number: int, key: int) -> None:
        self._account.skipped(number)
        if self.queue and self.queue[0][0] == number:
            self._check_key(key)
            self._listener.returned(self._drop(number - 1))
        self._passed(number)

    def _passed(self, number: int) -> None:
        """After the last of the calls taken back, the worker may have new ones."""
        if number == self._recalled and self._process is not None:
            self._recalled = 0
            self._account.let_go()

    def _gone(self, ended: Exit) -> None:
        process, ending, queue = self._process, self._ending, self.queue
        assert process is not None
        self._process, self._ready, self._ending, self._recalled = None, False, None, 0
        self.queue, self.held, self._waiting_bytes = deque(), None, 0
        self._gathered.clear()
        lost = None
        if queue and self._had_begun(process, *queue[0][:2]):
            number, task, _ = queue.popleft()
            lost = task.task_id
            self._announce(task)
            why = ending or Loss("WorkerDied", self._died(task, ended, process.lie))
            running = self._account.running(number, time.monotonic_ns())
            self._listener.lost(task, why._replace(run_time=running, peak_memory=ended.peak_memory))
        self._directories.ended(process.mark, lost)
        if queue:
            self._listener.returned([task for _, task, _ in queue])
        self._leaving = False
        self._on_gone(self, ended, self._account.known > 0)

    def _had_begun(self, process: WorkerProcess, number: int, task: Task) -> bool:
        """Whether a process that is gone was at this call; twice in doubt is taken for once for certain."""
        if number > self._account.handed:
            return False
        try:
            begun = self._account.begun
        except frames.BadMessage as error:
            process.lie = process.lie or str(error)
            begun = self._account.known
        if number <= begun or (task.disturbed and not self._leaving):
            return True
        task.disturbed = task.disturbed or not self._leaving
        return False

    def _died(self, task: Task, ended: Exit, lie: str) -> str:
        """What is said of a worker that ended by itself; want of memory makes many libraries abort."""
        text = f"worker {self.name} (process {ended.pid}) {ended}"
        if lie:
            return f"{text}; it was ended because it said what it cannot mean: {lie}"
        memory, whose = memory_in_force(self._limits, memory_asked(task.call.resource_specification))
        return f"{text}; {whose}" if memory else text
