"""Tasks that may kill their agent: their starts are durable before the call, and some run by themselves."""

import asyncio
from collections import Counter

from funcledger_endpoint.backlog import Backlog
from funcledger_endpoint.deaths import SECOND, Deaths
from funcledger_endpoint.outbox import MOST_WAITING
from funcledger_endpoint.task import Key, Task

#: Seconds that a suspect runs with nothing else beside it, and that the others may take to end before it.
ALONE = 5.0


class Suspects:
    """What follows from the deaths of earlier agents for the tasks that this one took over.

    After one death every such task that may have begun has its start durable before its call, so that no
    attempt goes uncounted. From the second in a row on those that were running at one are tried one at a
    time, so that none is charged for what another does. A suspect waits in ``backlog``, not among the
    others: it holds nobody up for longer than ``ALONE`` before its call and as long after that. One that
    takes longer has the others beside it, but no second suspect.
    """

    def __init__(self, backlog: Backlog) -> None:
        self.backlog = backlog
        self._deaths: Deaths | None = None
        self._tasks_end = 0
        self._taken_over = Counter[str]()
        #: Those that have not ended.
        self.open: dict[Key, Task] = {}
        self._tried: Task | None = None
        #: When the others need not wait for the one that is tried, or that one for them, any more.
        self._until = 0.0

    def take_over(self, deaths: Deaths, tasks_end: int) -> None:
        """An epoch begins after these deaths; tasks before ``tasks_end`` may have been begun in another."""
        self._deaths, self._tasks_end = (deaths, tasks_end) if deaths.in_a_row else (None, 0)

    def judge(self, task: Task, submitted_at: int) -> bool:
        """A task has been taken up: see whether its start must be durable; whether it is a suspect.

        ``submitted_at`` is the append time of its submission in ms.
        """
        if self._deaths is None or task.offset >= self._tasks_end:
            return False
        # Each that began without its start on the log had that waiting in the outbox, in its owner's order.
        self._taken_over[task.owner] += 1
        task.wary = self._taken_over[task.owner] <= MOST_WAITING
        if self._deaths.in_a_row < SECOND or not self._deaths.during(task.about):
            return False
        task.wary = True
        task.unseen = not task.few and self._deaths.may_have_run_unseen(task.about, submitted_at)
        self.open[task.key] = task
        return True

    def charge(self, task: Task) -> str:
        """What is said of a task that an agent before this one began for the last time."""
        died = self._deaths.during(task.about) if self._deaths is not None else 0
        if not died:
            return f"the agent ended during attempt {task.attempts} of {task.max_attempts}"
        died += task.unseen
        when = f"in each of {died} attempts" if died == task.spent else f"in {died} of {task.spent} attempts"
        if task.unseen:
            when += " (at the first before it could tell of it)"
        if task.max_attempts == 1:
            when = "during attempt 1 of 1"
        return (
            f"its agent died {when}; see whether it ends processes, takes all memory, or runs "
            "where agents are ended before it can finish"
        )

    def has(self, task: Task) -> bool:
        """Whether this is one."""
        return task.key in self.open

    def turn(self, others: Backlog, busy: int) -> Backlog | None:
        """Where the next task to be handed out is to come from; None when nothing may be now."""
        if not self.open:
            return others
        late = asyncio.get_running_loop().time() >= self._until
        if self._tried is not None:
            return others if late else None
        if self.backlog.head() is None:
            return others
        return self.backlog if late or not busy else None

    def tried(self, task: Task) -> None:
        """A suspect has been handed out; it is alone until :meth:`called`, and then for a while."""
        self._tried, self._until = task, float("inf")

    def called(self, task: Task) -> None:
        """Its call is made now."""
        if self._tried is task:
            self._until = asyncio.get_running_loop().time() + ALONE

    def back(self, task: Task) -> None:
        """It runs no more; if it has not ended it is to be tried again."""
        if self._tried is task:
            self._tried = None
            self._until = asyncio.get_running_loop().time() + ALONE

    def ended(self, task: Task) -> None:
        """It has an outcome, so it is none any more."""
        self.back(task)
        self.open.pop(task.key, None)
