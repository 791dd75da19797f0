"""The engine ``local``: worker slots, which one gets a task, and what to do when a worker is gone."""

import asyncio
import logging
import os
import time
from collections.abc import Collection
from functools import partial
from pathlib import Path

from funcledger_endpoint.bounded_log import BoundedLog
from funcledger_endpoint.engine import Listener, Loss
from funcledger_endpoint.local.directories import Directories, Keep
from funcledger_endpoint.local.environment import worker_environment
from funcledger_endpoint.local.family import tasks_of_user
from funcledger_endpoint.local.limits import Limits
from funcledger_endpoint.local.output import TaskOutput
from funcledger_endpoint.local.pace import Pace
from funcledger_endpoint.local.slot import Slot
from funcledger_endpoint.local.strangers import Strangers
from funcledger_endpoint.local.worker_process import Exit
from funcledger_endpoint.task import Task

_log = logging.getLogger(__name__)

#: Seconds between looks at busy workers: how late a begun call or an exceeded walltime may be seen.
_LOOK = 0.005
#: Seconds between looks at what workers take, while any is busy and while none is.
_WATCH, _WATCH_IDLE = 0.1, 1.0
#: Seconds to wait after workers that died before their first call: doubled each time, up to the most.
_BACK_OFF, _MOST_BACK_OFF = 0.1, 10.0


class LocalEngine:
    """An ``Engine`` of supervised processes on this machine.

    What functions print goes to ``output``, each line beside its task's id, or where this process prints.
    A process being ended has ``patience`` seconds between SIGTERM and SIGKILL. ``alone`` says that this
    process has no children but the workers: then nothing that a task started gets away from it (on Linux).
    ``environment`` names variables that workers see beside the harmless ones. ``directories`` is where calls
    begin, each in an empty one, and ``keep`` says of which calls what they have left there is kept.
    """

    name = "local"

    def __init__(
        self,
        workers: int,
        *,
        output: BoundedLog | None = None,
        patience: float = 5.0,
        limits: Limits | None = None,
        alone: bool = False,
        environment: Collection[str] = (),
        directories: Path | None = None,
        keep: Keep = "never",
    ) -> None:
        seen = partial(worker_environment, os.environ, environment, workers)
        self._directories = Directories(directories, keep)
        self._limits = limits = limits or Limits()
        self._log = output
        self._output = TaskOutput(output.append) if output else None
        self._pace = Pace()
        self._slots = [
            Slot(
                f"local-{n}", self._pace, self._gone,
                output=self._output, patience=patience, limits=limits, environment=seen,
                directories=self._directories,
            )
            for n in range(workers)
        ]  # fmt: skip
        self._listener: Listener
        self._looking: asyncio.TimerHandle | None = None
        self._watching: asyncio.TimerHandle | None = None
        self._strangers = Strangers() if alone else None
        self._tasks_of_user = 0
        self._respawns: dict[Slot, asyncio.TimerHandle] = {}
        self._early_deaths = 0
        self._left: int | None = None
        self._stopped = asyncio.Event()

    @property
    def workers(self) -> int:
        """As the port says."""
        return len(self._slots)

    @property
    def busy(self) -> int:
        """As the port says."""
        return sum(bool(slot.queue) for slot in self._slots)

    def start(self, listener: Listener) -> None:
        """As the port says."""
        self._listener = listener
        self._directories.begin()
        if (now := tasks_of_user()) and self._limits.processes is not None:
            # Counted by user, and not by worker: so it only keeps a bomb from outrunning the next look.
            self._tasks_of_user = now + self.workers * self._limits.processes
        for slot in self._slots:
            slot.spawn(listener, self._tasks_of_user)
        self._watch()

    def offer(self, task: Task, function: bytes, *, careful: bool = False) -> bool:
        """As the port says; a task that was lost before goes alone, so that it takes no neighbour along."""
        depth = 1 if careful or task.attempts or task.disturbed else self._pace.depth(task.call.function_hash)
        best: Slot | None = None
        for slot in self._slots:
            if slot.room(depth) and (best is None or len(slot.queue) < len(best.queue)):
                best = slot
                if not slot.queue:
                    break
        if best is None:
            return False
        best.put(task, function, careful=careful)
        return True

    def flush(self) -> None:
        """As the port says."""
        for slot in self._slots:
            slot.flush()
        if self._looking is None and self.busy:
            self._looking = asyncio.get_running_loop().call_later(_LOOK, self._look)

    def _look(self) -> None:
        now = time.monotonic_ns()
        for slot in self._slots:
            slot.look(now)
        again = self.busy and self._left is None
        self._looking = asyncio.get_running_loop().call_later(_LOOK, self._look) if again else None

    def _watch(self) -> None:
        """Hold the workers, and what their tasks have started, to their limits."""
        self._sort_strangers()
        for slot in self._slots:
            slot.weigh()
        delay = _WATCH if self.busy else _WATCH_IDLE
        self._watching = asyncio.get_running_loop().call_later(delay, self._watch)

    def _sort_strangers(self) -> None:
        if self._strangers is None:
            return
        workers = {slot.process.pid: slot.process for slot in self._slots if slot.process is not None}
        found = self._strangers.sort({pid: process.mark for pid, process in workers.items()})
        for pid, process in workers.items():
            process.orphans = found.get(pid, [])

    def release(self, task: Task) -> None:
        """As the port says."""
        for slot in self._slots:
            if slot.held is task:
                slot.release()

    def cancel(self, task: Task) -> None:
        """As the port says."""
        for slot in self._slots:
            if slot.has(task):
                slot.cancel(task)

    def recall(self) -> None:
        """As the port says; it takes a moment."""
        for slot in self._slots:
            slot.recall()

    def _gone(self, slot: Slot, ended: Exit, began: bool) -> None:
        self._sort_strangers()
        if self._left is not None:
            self._left -= 1
            if not self._left:
                self._stopped.set()
            return
        self._early_deaths = 0 if began else self._early_deaths + 1
        delay = 0.0
        if self._early_deaths:
            delay = min(_BACK_OFF * 2 ** (self._early_deaths - 1), _MOST_BACK_OFF)
            where = self._log.path if self._log else "the output of this process"
            _log.error(
                "worker %s (process %d) %s, before its first call; its last words are in %s. "
                "The next one starts in %.1f s.",
                slot.name, ended.pid, ended, where, delay,
            )  # fmt: skip
        else:
            _log.warning("worker %s (process %d) %s; it is replaced", slot.name, ended.pid, ended)
        self._respawns[slot] = asyncio.get_running_loop().call_later(delay, self._respawn, slot)
        self._listener.room()

    def _respawn(self, slot: Slot) -> None:
        del self._respawns[slot]
        slot.spawn(self._listener, self._tasks_of_user)

    async def stop(self) -> None:
        """As the port says."""
        for timer in self._respawns.values():
            timer.cancel()
        for watch in (self._looking, self._watching):
            if watch is not None:
                watch.cancel()
        self._left = sum(slot.running for slot in self._slots)
        for slot in self._slots:
            slot.end(Loss("TaskLost", "the endpoint was stopped while the task ran"))
        if self._left:
            await self._stopped.wait()
        if self._strangers is not None:
            self._strangers.end_all()
        await asyncio.to_thread(self._directories.end)
        if self._output is not None:
            self._output.stop()
