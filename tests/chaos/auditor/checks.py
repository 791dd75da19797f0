"""What must hold after a run, one law a function: each yields a sentence for everything it finds wrong."""

import hashlib
import pickle
import re
from collections import Counter, defaultdict
from collections.abc import Iterator
from itertools import pairwise

from tests.chaos.auditor.case import Case, starts_of
from tests.chaos.auditor.evidence import Call, Execution, Got, shown
from tests.chaos.auditor.facts import Fact
from tests.chaos.auditor.life import Task

_MS = 1_000_000
#: How long, in ns, a worker may go on after its agent was killed, until the kernel has told it.
_DYING = 100 * _MS
_ENDED = ("success", "failed", "cancelled")
_PID = re.compile(r"process (\d+)")


def acknowledged_means_durable(case: Case) -> Iterator[str]:
    """Law 1: every acknowledged submission is on the log, as it was meant."""
    for token, task_id in case.evidence.client.acknowledged.items():
        if case.tokens.get(task_id) != token:
            found = case.tokens.get(task_id)
            yield f"task {task_id} was acknowledged for call {token}; on the log is {found}"


def a_retry_is_the_same_submission(case: Case) -> Iterator[str]:
    """Law 3: a call is one task, whatever was sent twice; and nothing is on the log that nobody sent."""
    tasks = defaultdict(set)
    for task_id, token in case.tokens.items():
        tasks[token].add(task_id)
        if token not in case.evidence.client.calls:
            yield f"task {task_id} is on the log, and nobody has sent call {token}"
    for token, ids in tasks.items():
        if token in case.evidence.client.unsent:
            yield f"call {token} was taken back before it was sent, and is on the log"
        if len(ids) > 1:
            yield f"call {token} was submitted {len(ids)} times: {', '.join(sorted(ids))}"
    for task in case.story.tasks.values():
        if len({each["request_digest"] for each in task.submissions}) > 1:
            yield f"task {task.task_id} stands on the log with two digests"
        if not task.submissions:
            yield f"the log speaks of task {task.task_id}, which was never submitted"


def every_task_ends(case: Case) -> Iterator[str]:
    """Law 6: nothing is pending when all that was asked for has had its time."""
    for task in case.story.tasks.values():
        if task.outcome is None:
            yield f"task {task.task_id} has no outcome after {task.attempts} attempts"


def attempts_are_counted(case: Case) -> Iterator[str]:
    """Law 6: attempts are begun one after another, as often as was allowed and no oftener."""
    for task in case.story.tasks.values():
        yield from (f"task {task.task_id}: {text}" for text in task.disorder)
        call = case.call(task)
        allowed = task.submissions[0]["max_attempts"] if task.submissions else 0
        if call is not None and call.max_attempts != allowed:
            yield f"task {task.task_id} was to have {call.max_attempts} attempts, the log allows {allowed}"
        if task.attempts > allowed:
            yield f"task {task.task_id} was begun {task.attempts} times, {allowed} were allowed"


def every_outcome_is_right(case: Case) -> Iterator[str]:
    """The value is the one expected, and a failure is one that the call or the kills can explain."""
    for task in case.story.tasks.values():
        call = case.call(task)
        if task.outcome is not None and call is not None and not _explained(case, task, task.outcome, call):
            yield (
                f"task {task.task_id}, a call {call.kind!r}, was to end as {call.expect!r}; "
                f"it ended {task.status} ({_told(task.outcome)})"
            )


def _explained(case: Case, task: Task, outcome: Fact, call: Call) -> bool:
    if outcome.name == "TaskCompleted":
        return call.kind in ("value", "cancel") and shown(pickle.loads(outcome["payload"])) == call.expect
    if outcome.name == "TaskCancelled":
        return task.task_id in case.evidence.client.cancelling
    if outcome["kind"] == "Exception":
        said, _ = outcome.failure
        return call.kind == "raises" and f"{outcome['error_type']}: {said}".endswith(call.expect)
    if outcome["kind"] in ("WorkerDied", "TaskLost"):
        untold = "before it could tell" in outcome["message"] and _may_have_begun_untold(case, task)
        return task.attempts + untold == call.max_attempts
    return call.kind == "overruns" and outcome["kind"] == call.expect


def _may_have_begun_untold(case: Case, task: Task) -> bool:
    """Whether an agent died between the task's submission and its first start."""
    endpoint_id, first = task.starts[0]["endpoint_id"], task.starts[0].offset
    return any(
        (endpoint_id, before.offset) not in case.story.stops
        and after.offset < first
        and task.submissions[0].timestamp <= after.timestamp
        for before, after in pairwise(case.story.epochs[endpoint_id])
    )


def _told(outcome: Fact) -> str:
    if outcome.name == "TaskCompleted":
        return shown(pickle.loads(outcome["payload"]))
    if outcome.name == "TaskFailed":
        return f"{outcome['kind']} {outcome.failure[0]}"
    return ""


def every_loss_has_a_cause(case: Case) -> Iterator[str]:
    """A worker that died was killed or its task is poison; a lost agent was killed or told to stop."""
    for task in case.story.tasks.values():
        call = case.call(task)
        for fact in [*task.failures, *([task.outcome] if task.kind else [])]:
            if fact is None:
                continue
            died = _PID.search(fact["message"]) if fact["kind"] == "WorkerDied" else None
            if died and int(died[1]) not in case.killed and (call is None or call.kind != "dies"):
                yield f"task {task.task_id}: {fact['message']}, and nobody has killed that one"
            begun = [start["epoch"] for start in task.starts if start["attempt"] == fact["attempt"]]
            if fact["kind"] == "TaskLost" and fact["epoch"] in begun:
                yield f"task {task.task_id} was lost by the very agent that says so: {fact['message']}"
    for endpoint_id, starts in case.story.epochs.items():
        for start in starts[:-1]:
            pid = case.agents.get((endpoint_id, start.offset))
            left = (endpoint_id, start.offset) in case.story.stops
            if pid not in case.killed.keys() | case.superseded and not left:
                yield f"the agent of epoch {start.offset} (process {pid}) was superseded without a cause"


def payloads_are_whole(case: Case) -> Iterator[str]:
    """Sizes and hashes are those of the bytes; leaf hashes are what the product says they are."""
    leaves: dict[str, hashlib._Hash] = defaultdict(hashlib.sha256)
    for fact in case.facts:
        leaves[f"{fact.topic}/{fact.partition}"].update(fact.leaf)
        payload = fact.fields.get("payload")
        if payload is None:
            continue
        if (
            len(payload) != fact["payload_size"]
            or hashlib.sha256(payload).hexdigest() != fact["payload_sha256"]
        ):
            yield f"{fact.where}: the payload of {len(payload)} bytes is not the one that was hashed"
    found = {where: leaf.hexdigest() for where, leaf in leaves.items()}
    for where in found.keys() | case.evidence.leaves.keys():
        if found.get(where) != case.evidence.leaves.get(where):
            yield f"the leaf hashes of {where} are not those that the product computes"


def nothing_was_unreadable(case: Case) -> Iterator[str]:
    """No record went to ``dead_letters``, and nobody was refused."""
    for fact in case.facts:
        if fact.topic in ("dead_letters", "audit"):
            yield f"{fact.where}: {fact.fields}"


def the_read_models_tell_the_log(case: Case) -> Iterator[str]:
    """Laws 2 and 5: one outcome for each task, the log's, in the live read models and in rebuilt ones."""
    log = {
        task.task_id: (task.status, task.attempts, task.kind)
        for task in case.story.tasks.values()
        if task.submissions
    }
    for name, told_by in (("live", case.evidence.statuses), ("rebuilt", case.evidence.rebuilt)):
        for task_id in log.keys() | told_by.keys():
            said = told_by.get(task_id)
            if said is not None and said[0] not in _ENDED:
                said = ("pending", *said[1:])
            if log.get(task_id) != said:
                yield f"task {task_id}: the log says {log.get(task_id)}, the {name} {told_by.get(task_id)}"
    yield from (f"live and rebuilt read models differ: {each}" for each in case.evidence.rebuild_differs)


def the_client_got_the_outcome(case: Case) -> Iterator[str]:
    """Laws 5 and 9: whatever the client was told of a task is its outcome, each time; and it was told."""
    client = case.evidence.client
    for token, task_id in (client.acknowledged | client.named).items():
        if task_id not in client.got and token not in client.unknown and token not in client.unsent:
            yield f"the client never got the outcome of task {task_id}"
    for task_id, answers in client.got.items():
        task = case.story.tasks.get(task_id)
        if task is None or task.outcome is None:
            yield f"the client got an outcome of task {task_id}, which has none: {answers}"
        elif answers != {_as_told(task)}:
            yield f"the client was told of task {task_id}: {answers}; on the log is {_as_told(task)}"
    yield from (f"the client was surprised: {text}" for text in client.surprises)


def _as_told(task: Task) -> Got:
    outcome = task.outcome
    assert outcome is not None
    if outcome.name == "TaskCompleted":
        return Got("success", None, shown(pickle.loads(outcome["payload"])))
    if outcome.name == "TaskFailed" and outcome["kind"] == "Exception":
        return Got("failed", "Exception", shown(pickle.loads(outcome.failure[1])))
    return Got(task.status, task.kind, None)


def no_run_without_its_start(case: Case) -> Iterator[str]:
    """Law 6: with one or two attempts the start is durable before the call; else an agent may die with it."""
    for task, line in unannounced(case):
        if task.submissions[0]["max_attempts"] <= 2:
            yield f"task {task.task_id} was run by worker {line.worker} without a TaskStarted"
        elif (
            case.killed.get(line.agent, 0) + _DYING < line.at
            and line.agent not in case.superseded
            and not case.spoils(task)
        ):
            yield (
                f"task {task.task_id} was run by worker {line.worker} without a TaskStarted, "
                f"and its agent {line.agent} was neither killed nor superseded after that"
            )
    for task, lines in _runs(case):
        starts = [start.timestamp for start in task.starts]
        if task.submissions[0]["max_attempts"] <= 2 and starts and lines[0].at // _MS < min(starts):
            yield f"task {task.task_id} was run {min(starts) - lines[0].at // _MS} ms before its TaskStarted"


def unannounced(case: Case) -> Iterator[tuple[Task, Execution]]:
    """The runs for which their agent has no TaskStarted on the log."""
    for task, lines in _runs(case):
        said = Counter(case.agents.get((start["endpoint_id"], start["epoch"])) for start in starts_of(task))
        for line in lines:
            said[line.agent] -= 1
            if said[line.agent] < 0:
                yield task, line


def _runs(case: Case) -> Iterator[tuple[Task, list[Execution]]]:
    """Each task that was run, with its lines."""
    for task_id, token in case.tokens.items():
        if token in case.lines:
            yield case.story.tasks[task_id], case.lines[token]


def at_most_once_is_once(case: Case) -> Iterator[str]:
    """With one or two attempts a call is made so often at most, and what succeeded was run."""
    runs = Counter(line.token for line in case.evidence.executions)
    on_log = set(case.tokens.values())
    for token, count in runs.items():
        call = case.evidence.client.calls.get(token)
        if token not in on_log:
            yield f"call {token} was run, and is not on the log"
        if call is not None and call.max_attempts <= 2 and count > call.max_attempts:
            yield f"call {token} was run {count} times and allowed {call.max_attempts}"
    for task in case.story.tasks.values():
        token = case.tokens.get(task.task_id, -1)
        if task.outcome is not None and task.outcome.name == "TaskCompleted" and not runs[token]:
            yield f"task {task.task_id} completed and was never run"


def nothing_ended_by_itself(case: Case) -> Iterator[str]:
    """No process of the product ended but by a signal of ours or when it was told to."""
    yield from case.evidence.endings


CHECKS = (
    acknowledged_means_durable,
    a_retry_is_the_same_submission,
    every_task_ends,
    attempts_are_counted,
    every_outcome_is_right,
    every_loss_has_a_cause,
    payloads_are_whole,
    nothing_was_unreadable,
    the_read_models_tell_the_log,
    the_client_got_the_outcome,
    no_run_without_its_start,
    at_most_once_is_once,
    nothing_ended_by_itself,
)


def findings(case: Case) -> dict[str, list[str]]:
    """What is wrong, by the law that it breaks; empty when all is well."""
    found = {check.__name__: list(check(case)) for check in CHECKS}
    return {name: texts for name, texts in found.items() if texts}
