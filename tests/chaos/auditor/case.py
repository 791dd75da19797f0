"""A run as the auditor sees it: the story its log tells, and what goes with it of the evidence beside."""

import pickle
from collections import Counter, defaultdict
from collections.abc import Sequence
from functools import cached_property
from itertools import pairwise

from tests.chaos.auditor.evidence import Call, Evidence, Execution
from tests.chaos.auditor.facts import Fact
from tests.chaos.auditor.life import Story, Task, told


class Case:
    """A run: the log's facts, the story they tell, and the evidence beside them."""

    def __init__(self, facts: Sequence[Fact], evidence: Evidence) -> None:
        self.facts, self.evidence = facts, evidence
        self.story: Story = told(facts)

    @cached_property
    def tokens(self) -> dict[str, int]:
        """The token of each task on the log: the first argument of its call."""
        return {
            task.task_id: _opened(task.submissions[0])[0][0]
            for task in self.story.tasks.values()
            if task.submissions
        }

    def call(self, task: Task) -> Call | None:
        """What the client meant by the task."""
        return self.evidence.client.calls.get(self.tokens.get(task.task_id, -1))

    def spoils(self, task: Task) -> bool:
        """Whether the call spoils what would tell its agent that it has begun (decision 25)."""
        call = self.call(task)
        return (
            call is not None and call.kind == "dies" and _opened(task.submissions[0])[0][2:] == (_SPOILING,)
        )

    @cached_property
    def killed(self) -> dict[int, int]:
        """Processes that were killed, by us or by a call that kills its agent, and when."""
        calls, lines = self.evidence.client.calls, self.evidence.executions
        felled = {
            line.agent: line.at for line in lines if line.token in calls and calls[line.token].kind == "fells"
        }
        return felled | {
            strike.pid: strike.at for strike in self.evidence.strikes if strike.signal == "SIGKILL"
        }

    @cached_property
    def superseded(self) -> set[int]:
        """Agents that did not die: they were rivals, or a rival took the endpoint over from them."""
        rivals = {strike.pid for strike in self.evidence.strikes if strike.signal == "RIVAL"}
        found = set()
        for endpoint_id, starts in self.story.epochs.items():
            pids = [self.agents.get((endpoint_id, start.offset), 0) for start in starts]
            found |= {pid for pid, after in pairwise(pids) if {pid, after} & rivals}
        return found

    @cached_property
    def lines(self) -> dict[int, list[Execution]]:
        """The executions by call, in the order of time; the agent is always the worker's first parent."""
        processes = self.evidence.processes
        parents = {each.pid: each.parent for each in processes if each.role == "worker"}
        agents = {each.pid for each in processes if each.role == "agent"}
        found = defaultdict(list)
        for line in sorted(self.evidence.executions, key=lambda line: line.at):
            orphan = line.agent not in agents
            found[line.token].append(line._replace(agent=parents.get(line.worker, 0)) if orphan else line)
        return dict(found)

    @cached_property
    def agents(self) -> dict[tuple[str, int], int]:
        """By endpoint and epoch the agent's process: the one whose workers ran what was started in it.

        Of an epoch in which nothing was, the youngest that had no other and was there by then.
        """
        votes = defaultdict[tuple[str, int], Counter[int]](Counter)
        for task in self.story.tasks.values():
            lines, starts = self.lines.get(self.tokens.get(task.task_id, -1), []), starts_of(task)
            if len(lines) == len(starts) == 1:
                votes[starts[0]["endpoint_id"], starts[0]["epoch"]][lines[0].agent] += 1
        found = {epoch: counts.most_common(1)[0][0] for epoch, counts in votes.items()}
        seen = sorted((each.created, each.pid) for each in self.evidence.processes if each.role == "agent")
        for endpoint_id, starts in self.story.epochs.items():
            for start in starts:
                taken = set(found.values())
                there = [pid for at, pid in seen if at <= start["occurred_at"] * 1000 and pid not in taken]
                if there:
                    found.setdefault((endpoint_id, start.offset), there[-1])
        return found


#: How a call of the menu dies that overwrites the memory it shares with its agent first.
_SPOILING = 2


def starts_of(task: Task) -> list[Fact]:
    """Every TaskStarted of a task, those of agents that were not in force too."""
    return [*task.starts, *(fact for fact in task.void if fact.name == "TaskStarted")]


def _opened(fact: Fact) -> tuple[tuple[int, ...], dict[str, object]]:
    """The arguments, which the load sends as plain pickles."""
    arguments: tuple[tuple[int, ...], dict[str, object]] = pickle.loads(fact["payload"])
    return arguments
