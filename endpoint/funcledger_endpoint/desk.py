"""Where it is decided what becomes of each task: records come in, tasks go to the engine, events go out."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from functools import partial

from funcledger_endpoint.backlog import Backlog
from funcledger_endpoint.clock import LogClock
from funcledger_endpoint.engine import Engine, Loss
from funcledger_endpoint.facts import Facts
from funcledger_endpoint.functions import Functions
from funcledger_endpoint.outbox import Outbox
from funcledger_endpoint.past import Past
from funcledger_endpoint.progress import Progress
from funcledger_endpoint.report import Report
from funcledger_endpoint.suspects import Suspects
from funcledger_endpoint.task import About, Key, Task
from funcledger_endpoint.trace import trace
from funcledger_event_log.records import DecodeError, Record
from funcledger_schemas import clock, tracing
from funcledger_schemas.events import Event, TaskCancelRequested, TaskStarted, TaskSubmitted
from funcledger_schemas.lifecycle import OUTCOME_CLASSES, Life

_log = logging.getLogger(__name__)
#: What `tasks` says to an endpoint.
_SAID = (TaskSubmitted, TaskCancelRequested)

#: Kinds of loss after which a task is tried again.
_RETRIED = frozenset({"WorkerDied", "TaskLost"})
_ASKED = "somebody asked for it to be cancelled"


class Desk:
    """The agent's tasks and what is done with them; an engine's ``Listener``.

    It takes records from the first call of :meth:`take_up` on, and starts tasks from :meth:`go` on.
    ``after`` is called whenever tasks were handed out, for those who bring more.
    """

    def __init__(
        self,
        engine: Engine,
        outbox: Outbox,
        functions: Functions,
        backlog: Backlog,
        suspects: Suspects,
        clock: LogClock,
        after: Callable[[], None],
    ) -> None:
        self._engine, self._outbox, self._functions = engine, outbox, functions
        self._backlog, self._suspects, self._clock, self._after = backlog, suspects, clock, after
        self._facts: Facts
        self._progress: Progress
        self._past = Past()
        #: Tasks without a durable outcome.
        self._open: dict[Key, Task] = {}
        self._going = False
        self._quiet = asyncio.Event()
        #: The lowest deadline of a task that waits, as far as known.
        self._next_deadline: int | None = None

    def take_up(self, facts: Facts, progress: Progress, lives: dict[About, Life], tasks_end: int) -> None:
        """Begin in this epoch, with what the log says of each submission before ``tasks_end``."""
        self._facts, self._progress = facts, progress
        self._past.learn(lives, tasks_end)

    def go(self) -> None:
        """All that was in the log has been taken, as far as can be told: start tasks."""
        self._forget()
        self._quiet.clear()
        self._going = True
        self.dispatch()

    async def halt(self) -> None:
        """Start no more tasks, take back what has not begun, and wait until nothing runs."""
        self._going = False
        self._engine.recall()
        self.room()
        await self._quiet.wait()

    @property
    def load(self) -> tuple[int, int, int]:
        """Workers, busy ones, and tasks that wait."""
        busy = self._engine.busy
        return self._engine.workers, busy, max(0, len(self._open) - busy)

    def take(self, records: Sequence[Record]) -> None:
        """Records of the endpoint's tasks, in log order."""
        self._progress.read(records[0].offset, records[-1].offset + 1)
        self._clock.follow(records[-1].timestamp)
        for record in records:
            try:
                event = record.event()
            except DecodeError as error:
                _log.warning("tasks at %d cannot be read and is left out: %s", record.offset, error)
                continue
            if isinstance(event, _SAID):
                self._one(record, event)
        self._forget()
        self.dispatch()

    def _one(self, record: Record, event: TaskSubmitted | TaskCancelRequested) -> None:
        if event.endpoint_id != self._facts.endpoint_id:
            # To every fold it is a record that cannot be read (FAULTS 12), so nobody waits for it.
            _log.warning("tasks at %d is left out: it has another endpoint's key", record.offset)
        elif isinstance(event, TaskSubmitted):
            self._submitted(record, event)
        else:
            self._cancel((event.owner, event.task_id))

    def _forget(self) -> None:
        """Not before all is there: a feed that is silent may be one whose gateway is away."""
        if self._progress.caught_up:
            self._past.shorten()

    def _submitted(self, record: Record, event: TaskSubmitted) -> None:
        task = Task.of(record.offset, record.timestamp, event)
        key = task.key
        if key in self._open or self._past.has_ended(task):
            return
        life = self._past.begun(task)
        if tracing.spans is not None:
            task.taken_at = clock.current().time_ns()
        self._open[key] = task
        self._progress.opened(task.offset)
        self._next_deadline = min(task.deadline, self._next_deadline or task.deadline)
        suspect = self._suspects.judge(task, record.timestamp)
        if life is not None and life.attempts:
            task.attempts = life.attempts
            if not self._resume(task, life.running):
                return
        (self._suspects.backlog if suspect else self._backlog).add(task)

    def _resume(self, task: Task, running: bool) -> bool:
        """What was begun by an agent before this one was lost with it; whether it is tried again."""
        if task.spent >= task.max_attempts:
            loss = Loss("TaskLost", self._suspects.charge(task))
            self._close(task, self._facts.failed(task, loss))
            return False
        if running:
            loss = Loss("TaskLost", f"the agent ended during attempt {task.attempts} of {task.max_attempts}")
            self._outbox.add(self._facts.attempt_failed(task, loss))
        return True

    def _cancel(self, key: Key) -> None:
        task = self._open.get(key)
        if task is None or task.closed or task.cancelled:
            return
        task.cancelled = True
        if task.placed:
            self._engine.cancel(task)
        else:
            self._close(task, self._facts.cancelled(task, _ASKED))

    def _close(self, task: Task, outcome: Event) -> None:
        task.closed = True
        task.submission = None
        if self._suspects.open:
            self._suspects.ended(task)
        self._outbox.add(outcome)

    def dispatch(self) -> None:
        """Hand out tasks while there are both tasks and room."""
        if not self._going:
            return
        while not self._outbox.full:
            backlog: Backlog | None = self._backlog
            if self._suspects.open:
                backlog = self._suspects.turn(self._backlog, self._engine.busy)
            if backlog is None or (task := backlog.head()) is None:
                break
            if self._expire(task):
                continue
            content_hash = task.call.function_hash
            body = self._functions.get(content_hash)
            if body is None:
                backlog.park()
                self._functions.fetch(content_hash, task.offset, partial(self._arrived, task, backlog))
                continue
            careful = task.counted_first and not task.durable
            if not self._engine.offer(task, body, careful=careful):
                break
            task.placed = True
            backlog.pop()
            if backlog is not self._backlog:
                self._suspects.tried(task)
                if not careful:
                    self._suspects.called(task)
        self._engine.flush()
        self._after()

    def _arrived(self, task: Task, backlog: Backlog, why: str | None) -> None:
        if why is not None and not task.closed:
            self._close(task, self._facts.failed(task, Loss("FunctionNotLoaded", why)))
        backlog.unpark(task.owner)
        self.dispatch()

    def gone(self, task: Task) -> None:
        """The log no longer has the submission."""
        text = "its submission is no longer kept in the log, so it cannot be run"
        self._close(task, self._facts.failed(task, Loss("Expired", text)))

    def _expire(self, task: Task) -> bool:
        if task.attempts or task.placed or task.closed or self._clock.now() < task.deadline:
            return False
        text = "its time to expire came before a worker was free to begin it"
        self._close(task, self._facts.failed(task, Loss("Expired", text)))
        return True

    def sweep(self) -> None:
        """End what has waited too long; looks at every task, but only when the first deadline has come."""
        if self._suspects.open:
            self.dispatch()  # somebody's time alone may be over
        if self._next_deadline is None or self._clock.now() < self._next_deadline:
            return
        waiting = [task for task in self._open.values() if not self._expire(task)]
        self._next_deadline = min(
            (task.deadline for task in waiting if not task.attempts and not task.closed), default=None
        )

    def begun(self, task: Task, worker: str) -> None:
        """As the engine's listener."""
        task.attempts += 1
        task.announced = True
        self._outbox.add(self._facts.started(task, worker))

    def finished(self, task: Task, report: Report) -> None:
        """As the engine's listener."""
        task.placed = False
        self._close(task, self._facts.ended(task, report))

    def lost(self, task: Task, loss: Loss) -> None:
        """As the engine's listener."""
        task.placed = False
        if task.cancelled:
            self._close(task, self._facts.cancelled(task, _ASKED))
            return
        _log.warning(
            "task %s: %s: %s", task.task_id, loss.kind, loss.message, extra={"task_id": task.task_id}
        )
        if loss.kind in _RETRIED:
            loss = loss._replace(message=f"attempt {task.attempts} of {task.max_attempts}: {loss.message}")
        if loss.kind in _RETRIED and task.spent < task.max_attempts:
            self._outbox.add(self._facts.attempt_failed(task, loss))
            task.announced = task.durable = False
            task.wary = True  # so that each further attempt is counted, whatever becomes of this agent
            self._give_back([task])
        else:
            self._close(task, self._facts.failed(task, loss))

    def returned(self, tasks: Sequence[Task]) -> None:
        """As the engine's listener."""
        for task in tasks:
            task.placed = False
            if task.cancelled:
                self._close(task, self._facts.cancelled(task, _ASKED))
        self._give_back([task for task in tasks if not task.closed])

    def _give_back(self, tasks: Sequence[Task]) -> None:
        suspects = [task for task in tasks if self._suspects.has(task)] if self._suspects.open else []
        for task in suspects:
            self._suspects.back(task)
        self._suspects.backlog.give_back(suspects)
        self._backlog.give_back([task for task in tasks if task not in suspects] if suspects else tasks)

    def room(self) -> None:
        """As the engine's listener."""
        if not self._going and not self._engine.busy:
            self._quiet.set()
        self.dispatch()

    def durable(self, events: Sequence[Event], offsets: Sequence[int]) -> None:
        """The log has these events."""
        self._progress.results_end = max(self._progress.results_end, offsets[-1] + 1)
        for event in events:
            if type(event) is TaskStarted:
                self._started(event)
            elif isinstance(event, OUTCOME_CLASSES):
                key = (event.owner, event.task_id)
                task = self._open.pop(key)
                self._progress.finished(task.offset)
                self._past.end(key)
                if tracing.spans is not None:
                    trace(tracing.spans, task, event)
        self.dispatch()

    def _started(self, event: TaskStarted) -> None:
        task = self._open[event.owner, event.task_id]
        # An attempt before this one may have been told of without anybody waiting for that.
        if task.counted_first and task.announced and event.attempt == task.attempts:
            task.durable = True
            self._suspects.called(task)
            self._engine.release(task)
