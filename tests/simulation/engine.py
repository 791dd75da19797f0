"""``Engine`` whose workers only pretend: calls take virtual time, end as scripted, and stand in a ledger."""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from tests.simulation.process import Process
from tests.simulation.scenario import Behaviour

from funcledger_endpoint.engine import Listener, Loss
from funcledger_endpoint.report import Report
from funcledger_endpoint.task import Task

#: Seconds until a begun call is told of, a dead worker is replaced, and a call is ended.
_LOOK, _RESPAWN, _END = 0.005, 0.1, 0.002


@dataclass(slots=True)
class Execution:
    """One call of a function, which the outside world has seen: nothing takes it back."""

    owner: str
    task_id: str
    instance: str
    #: Whether this agent itself had reported the task as ended before.
    ended_before: bool


@dataclass
class Ledger:
    """What was really called, in order; beyond the reach of every crash. ``begun`` are the first calls of a
    task by an agent, without those that were handed back meanwhile: the order owners are promised."""

    behaviours: dict[str, Behaviour]
    executions: list[Execution] = field(default_factory=list)
    begun: list[tuple[str, str, int]] = field(default_factory=list)


class SimEngine:
    """Workers that take what is offered in order; some ahead of time, as frames do."""

    name = "simulated"

    def __init__(
        self, process: Process, ledger: Ledger, workers: int, ahead: int, felled: Callable[[], None]
    ) -> None:
        """``felled`` ends the agent."""
        self.workers = workers
        #: Set once the agent is made.
        self.instance = ""
        self._process, self._ledger, self._ahead, self._felled = process, ledger, ahead, felled
        self._listener: Listener
        self._idle = workers
        self._taken: deque[tuple[Task, bool]] = deque()
        self._running: dict[int, Task] = {}
        self._held: dict[int, Task] = {}
        self._disturbed: set[int] = set()
        self._ended: set[int] = set()
        self._stopped = False

    @property
    def busy(self) -> int:
        return len(self._taken) + len(self._running) + len(self._held)

    def start(self, listener: Listener) -> None:
        self._listener = listener

    def offer(self, task: Task, function: bytes, *, careful: bool = False) -> bool:
        assert function == b"code"
        alone = careful or task.attempts > 0
        if self._stopped or len(self._taken) >= self._idle + (0 if alone else self._ahead):
            return False
        self._taken.append((task, careful))
        return True

    def flush(self) -> None:
        asyncio.get_running_loop().call_soon(self._pump)

    def _pump(self) -> None:
        while self._process.alive and self._taken and self._idle and not self._stopped:
            task, careful = self._taken.popleft()
            self._idle -= 1
            if careful:
                self._held[task.offset] = task
                self._announce(task)
            else:
                self._call(task)

    def _announce(self, task: Task) -> None:
        if not task.announced:
            self._listener.begun(task, "worker")

    def _call(self, task: Task) -> None:
        behaviour = self._ledger.behaviours[task.task_id]
        self._running[task.offset] = task
        self._ledger.executions.append(
            Execution(task.owner, task.task_id, self.instance, task.offset in self._ended)
        )
        if not task.attempts and task.offset not in self._disturbed:
            self._ledger.begun.append((self.instance, task.owner, task.offset))
        self._disturbed.add(task.offset)
        behaviour.calls += 1
        loop = asyncio.get_running_loop()
        loop.call_later(_LOOK, self._look, task)
        if behaviour.fells:
            loop.call_later(behaviour.seconds * self._process.dice.choice((0, 1)), self._fell, task)
        elif behaviour.calls <= behaviour.deaths:
            loop.call_later(behaviour.seconds, self._die, task, Loss("WorkerDied", "simulated: killed"))
        else:
            loop.call_later(behaviour.seconds, self._end, task, behaviour)

    def _runs(self, task: Task) -> bool:
        return self._process.alive and self._running.get(task.offset) is task

    def _look(self, task: Task) -> None:
        if self._runs(task):
            self._announce(task)

    def _end(self, task: Task, behaviour: Behaviour) -> None:
        if not self._runs(task):
            return
        del self._running[task.offset]
        self._ended.add(task.offset)
        self._idle += 1
        self._announce(task)
        kind = "Exception" if behaviour.raises else ""
        self._listener.finished(task, Report(kind=kind, payload_format="pickle", payload=b"N." * 4))
        self._pump()
        self._listener.room()

    def _die(self, task: Task, loss: Loss) -> None:
        if not self._runs(task):
            return
        del self._running[task.offset]
        self._announce(task)
        self._listener.lost(task, loss)
        if self._taken and self._process.dice.random() < 0.5:
            self._give_back(list(self._taken))
        asyncio.get_running_loop().call_later(_RESPAWN, self._respawn)
        self._listener.room()

    def _fell(self, task: Task) -> None:
        if self._runs(task):
            self._felled()

    def _respawn(self) -> None:
        if self._process.alive and not self._stopped:
            self._idle += 1
            self._pump()
            self._listener.room()

    def _give_back(self, taken: Sequence[tuple[Task, bool]]) -> None:
        for each in taken:
            self._taken.remove(each)
            self._disturbed.add(each[0].offset)
        self._listener.returned([task for task, _ in taken])

    def release(self, task: Task) -> None:
        if self._held.pop(task.offset, None) is not None:
            self._call(task)

    def cancel(self, task: Task) -> None:
        if task.offset in self._running:
            loss = Loss("Cancelled", "simulated: ended")
            asyncio.get_running_loop().call_later(_END, self._die, task, loss)
        elif self._held.pop(task.offset, None) is not None:
            self._idle += 1
            self._listener.returned([task])
            self.flush()
        else:
            self._give_back([each for each in self._taken if each[0] is task])

    def recall(self) -> None:
        self._give_back(list(self._taken))

    async def stop(self) -> None:
        self._stopped = True
        for task in list(self._running.values()):
            del self._running[task.offset]
            self._announce(task)
            self._listener.lost(task, Loss("TaskLost", "simulated: the endpoint was stopped"))
        back = [*self._held.values(), *(task for task, _ in self._taken)]
        self._held.clear()
        self._taken.clear()
        self._listener.returned(back)
