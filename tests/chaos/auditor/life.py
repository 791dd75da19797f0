"""What the log says of each task, by the rule of docs/formats.md ("Reading results rightly")."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from tests.chaos.auditor.facts import Fact

_TERMINAL = {"TaskCompleted": "success", "TaskFailed": "failed", "TaskCancelled": "cancelled"}


@dataclass
class Task:
    """One task: what was asked, and in the order of ``results`` what counts of what was said."""

    task_id: str
    submissions: list[Fact] = field(default_factory=list)
    cancels: list[Fact] = field(default_factory=list)
    #: Counted TaskStarted and TaskAttemptFailed before the outcome, without copies.
    starts: list[Fact] = field(default_factory=list)
    failures: list[Fact] = field(default_factory=list)
    outcome: Fact | None = None
    #: What was said by an agent that was not, or no longer, in force.
    void: list[Fact] = field(default_factory=list)
    #: What counts by its epoch but comes after the outcome.
    late: list[Fact] = field(default_factory=list)
    #: What breaks the rule that attempts are begun one after another and end once.
    disorder: list[str] = field(default_factory=list)

    @property
    def attempts(self) -> int:
        """Attempts begun."""
        return max((start["attempt"] for start in self.starts), default=0)

    @property
    def status(self) -> str:
        """How it ended, "pending" when it has not."""
        return _TERMINAL[self.outcome.name] if self.outcome else "pending"

    @property
    def kind(self) -> str | None:
        """Of what kind a failure is."""
        return str(self.outcome["kind"]) if self.outcome and self.outcome.name == "TaskFailed" else None


@dataclass
class Story:
    """The whole log: tasks by id, and the agents that took effect, by endpoint, as their starts."""

    tasks: dict[str, Task] = field(default_factory=dict)
    epochs: dict[str, list[Fact]] = field(default_factory=dict)
    refused_starts: int = 0
    #: Agents that left in good order, by endpoint and epoch.
    stops: set[tuple[str, int]] = field(default_factory=set)
    copies: int = 0

    def task(self, task_id: str) -> Task:
        """The task of this id, new when nothing is known of it."""
        return self.tasks.setdefault(task_id, Task(task_id))


def told(facts: Iterable[Fact]) -> Story:
    """The story of these facts, which come in order within each partition."""
    story = Story()
    seen: set[str] = set()
    for fact in facts:
        if fact.topic not in ("tasks", "results"):
            continue
        if fact["event_id"] in seen and fact.name != "TaskSubmitted":
            story.copies += 1
            continue
        seen.add(fact["event_id"])
        _take(story, fact)
    return story


def _take(story: Story, fact: Fact) -> None:
    if fact.name == "TaskSubmitted":
        story.task(fact["task_id"]).submissions.append(fact)
    elif fact.name == "TaskCancelRequested":
        story.task(fact["task_id"]).cancels.append(fact)
    elif fact.name == "EndpointStarted":
        _start(story, fact)
    elif fact.name == "EndpointStopped":
        story.stops.add((fact["endpoint_id"], fact["epoch"]))
    else:
        task = story.task(fact["task_id"])
        if fact["epoch"] is not None and fact["epoch"] != _in_force(story.epochs, fact["endpoint_id"]):
            task.void.append(fact)
        elif task.outcome is not None:
            task.late.append(fact)
        else:
            _advance(task, fact)


def _start(story: Story, fact: Fact) -> None:
    if fact["supersedes"] < _in_force(story.epochs, fact["endpoint_id"]):
        story.refused_starts += 1
    else:
        story.epochs.setdefault(fact["endpoint_id"], []).append(fact)


def _in_force(epochs: Mapping[str, list[Fact]], endpoint_id: str) -> int:
    starts = epochs.get(endpoint_id)
    return starts[-1].offset if starts else -1


def _advance(task: Task, fact: Fact) -> None:
    begun, running = task.attempts, len(task.starts) > len(task.failures)
    if fact.name == "TaskStarted":
        if fact["attempt"] != begun + 1 or running:
            task.disorder.append(f"{fact.where} begins attempt {fact['attempt']} after {begun}")
        task.starts.append(fact)
    elif fact.name == "TaskAttemptFailed":
        if fact["attempt"] != begun or not running:
            task.disorder.append(f"{fact.where} ends attempt {fact['attempt']} of {begun}")
        task.failures.append(fact)
    else:
        if fact["attempt"] != begun or (fact.name == "TaskCompleted" and not running):
            task.disorder.append(f"{fact.where} ends attempt {fact['attempt']}, {begun} begun")
        task.outcome = fact
