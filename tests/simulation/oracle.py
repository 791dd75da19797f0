"""What must hold after a run: the laws, for a reader of the log, the read models and the ledger."""

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tests.simulation.engine import Ledger
from tests.simulation.outcomes import Name, Outcomes

from funcledger_event_log.memory import MemoryLog
from funcledger_projectors.batch import Batch
from funcledger_projectors.runner import TOPICS
from funcledger_read_models.documents import HELD_EVENTS, MODELS, TASK_STATUS
from funcledger_read_models.memory import MemoryStore
from funcledger_read_models.packing import pack, unpacker

if TYPE_CHECKING:
    from tests.simulation.client import Client

_EVERYTHING = 1 << 40


@dataclass
class Evidence:
    """All that a run leaves behind."""

    log: MemoryLog
    store: MemoryStore
    ledger: Ledger
    client: "Client"
    outcomes: Outcomes


def violations(evidence: Evidence) -> Iterator[str]:
    """Every law that does not hold, in words."""
    evidence.outcomes.read()
    for law in _LAWS:
        yield from law(evidence)


def _law_01_acknowledged_is_on_the_log(evidence: Evidence) -> Iterator[str]:
    for task_id, request in evidence.client.acknowledged.items():
        if (request.owner, task_id) not in evidence.outcomes.submitted:
            yield f"law 1: task {task_id} was acknowledged and is not on the log"


def _none_is_pending(evidence: Evidence) -> Iterator[str]:
    if waiting := evidence.outcomes.waiting():
        yield f"law 6: no outcome of {waiting}"


def _law_02_the_read_models_are_the_fold_of_the_log(evidence: Evidence) -> Iterator[str]:
    ends = evidence.store._positions
    records = [
        record
        for topic in TOPICS
        for where in evidence.log._partitions
        if where.topic == topic and (end := ends.get((where.topic, where.partition), 0))
        for record in evidence.log.take(where, 0, end, _EVERYTHING)
    ]
    folded = Batch(records).fold({model: {} for model in MODELS})
    for model in MODELS:
        if model is HELD_EVENTS:
            continue  # which events waited for a submission depends on what was read when
        anew = {key: pack(document) for key, document in folded.get(model, {}).items()}
        if anew != evidence.store._packed[model]:
            different = [
                key for key in anew.keys() | evidence.store._packed[model].keys()
                if anew.get(key) != evidence.store._packed[model].get(key)
            ]  # fmt: skip
            yield f"law 2: {model.name} is not what the log folds into, at {sorted(different)}"


def _law_05_07_the_first_outcome_stands(evidence: Evidence) -> Iterator[str]:
    documents = {
        key[:2]: evidence.store._packed[TASK_STATUS][key] for key in evidence.store._packed[TASK_STATUS]
    }
    for name, outcome in evidence.outcomes.first.items():
        if name not in documents:
            yield f"law 5: {name} has ended and the read models do not know it"
            continue
        shown: Any = unpacker(TASK_STATUS)(documents[name])
        if (shown.outcome_offset, shown.status) != (outcome.offset, outcome.status):
            yield (
                f"law 5: the first outcome of {name} is {outcome.status} at {outcome.offset}, "
                f"the read models show {shown.status} at {shown.outcome_offset}"
            )


def _law_06_attempts_are_counted_from_the_log(evidence: Evidence) -> Iterator[str]:
    for name, started in evidence.outcomes.started.items():
        attempts = [attempt for _, _, attempt in started]
        distinct = list(dict.fromkeys(attempts))
        most = evidence.outcomes.submitted[name][2].max_attempts
        if distinct != list(range(1, len(distinct) + 1)) or len(distinct) > most:
            yield f"law 6: attempts {attempts} of {name}, of which there may be {most}"
    for name, outcome in evidence.outcomes.first.items():
        began = [attempt for _, _, attempt in evidence.outcomes.started[name]]
        called = type(outcome.event).__name__ == "TaskCompleted" or getattr(outcome.event, "kind", "") in (
            "Exception", "WorkerDied",
        )  # fmt: skip
        if called and outcome.event.attempt not in began:
            yield f"law 6: the outcome of {name} stands before its TaskStarted"


def _law_06_at_most_once(evidence: Evidence) -> Iterator[str]:
    calls: dict[Name, int] = defaultdict(int)
    for execution in evidence.ledger.executions:
        calls[execution.owner, execution.task_id] += 1
    for name, count in calls.items():
        if name not in evidence.outcomes.submitted:
            yield f"law 1: {name} was run and is not on the log"
        elif evidence.outcomes.submitted[name][2].max_attempts == 1 and count > 1:
            yield f"law 6: {name} may be tried once and was called {count} times"


def _law_06_after_a_death_no_call_goes_uncounted(evidence: Evidence) -> Iterator[str]:
    outcomes = evidence.outcomes
    calls = Counter(
        (execution.owner, execution.task_id, execution.instance) for execution in evidence.ledger.executions
    )
    for name, outcome in outcomes.first.items():
        most = outcomes.submitted[name][2].max_attempts
        if getattr(outcome.event, "kind", "") == "TaskLost" and outcome.event.attempt < most - (most > 2):
            yield f"law 6: {name} was lost at attempt {outcome.event.attempt} of {most}"
    for (owner, task_id, instance), count in calls.items():
        name, epoch = (owner, task_id), outcomes.epoch_of.get(instance, -1)
        taken_over = (
            epoch in outcomes.after_death and outcomes.submitted[name][1] < outcomes.after_death[epoch]
        )
        if taken_over and count > outcomes.starts[name, epoch]:
            yield f"law 6: {name}, taken over from a dead agent, was called in epoch {epoch} and not counted"


def _law_08_what_kills_its_agent_is_called_as_often_as_allowed(evidence: Evidence) -> Iterator[str]:
    """An agent that leaves in good order makes nobody a suspect, so what it had is counted anew."""
    calls = Counter((execution.owner, execution.task_id) for execution in evidence.ledger.executions)
    for name, count in calls.items():
        submitted = evidence.outcomes.submitted[name][2]
        fells = evidence.ledger.behaviours[name[1]].fells
        if (
            fells
            and submitted.endpoint_id not in evidence.outcomes.stopped
            and count > submitted.max_attempts
        ):
            yield f"law 8: {name} ends its agent, may be tried {submitted.max_attempts} times and was {count}"


def _law_06_what_is_finished_is_not_run_again(evidence: Evidence) -> Iterator[str]:
    for execution in evidence.ledger.executions:
        name = (execution.owner, execution.task_id)
        outcome = evidence.outcomes.first.get(name)
        epoch = evidence.outcomes.epoch_of.get(execution.instance)
        if execution.ended_before:
            yield f"law 6: {name} was run again by the agent that had ended it"
        elif outcome is not None and epoch is not None and outcome.offset < epoch:
            yield f"law 6: {name} had ended at {outcome.offset} and was run by the agent of epoch {epoch}"


def _streams_give_each_first_outcome_once(evidence: Evidence) -> Iterator[str]:
    times: dict[Name, int] = defaultdict(int)
    for owner, task in evidence.client.got:
        name = (owner, task["task_id"])
        times[name] += 1
        outcome = evidence.outcomes.first.get(name)
        if outcome is None:
            yield f"law 5: the stream gave {name}, which has no outcome"
        elif (task["status"], task["finished_at"]) != (outcome.status, outcome.timestamp):
            yield f"law 5: the stream gave {task['status']} of {name}, the first outcome is {outcome.status}"
    for name in evidence.outcomes.first.keys() | times.keys():
        if times[name] != 1:
            yield f"law 5: the stream gave {name} {times[name]} times"


def _owners_tasks_start_in_log_order(evidence: Evidence) -> Iterator[str]:
    last: dict[tuple[str, str], int] = {}
    for instance, owner, offset in evidence.ledger.begun:
        if offset < last.get((instance, owner), -1):
            yield f"order: task {offset} of {owner} was begun after task {last[instance, owner]}"
        last[instance, owner] = offset


def _law_row_18_nothing_expires_early(evidence: Evidence) -> Iterator[str]:
    for name, outcome in evidence.outcomes.first.items():
        if getattr(outcome.event, "kind", "") == "Expired":
            _, submitted_at, event = evidence.outcomes.submitted[name]
            if outcome.timestamp < submitted_at + event.expires_in * 1000:
                yield f"row 18: {name} expired {outcome.timestamp - submitted_at} ms after its submission"


def _row_29_cancelled_only_when_asked(evidence: Evidence) -> Iterator[str]:
    for name, outcome in evidence.outcomes.first.items():
        if outcome.status == "cancelled" and name[1] not in evidence.client.asked_to_cancel:
            yield f"row 29: {name} was cancelled and nobody had asked"


_LAWS = (
    _law_01_acknowledged_is_on_the_log,
    _none_is_pending,
    _law_02_the_read_models_are_the_fold_of_the_log,
    _law_05_07_the_first_outcome_stands,
    _law_06_attempts_are_counted_from_the_log,
    _law_06_at_most_once,
    _law_06_after_a_death_no_call_goes_uncounted,
    _law_06_what_is_finished_is_not_run_again,
    _law_08_what_kills_its_agent_is_called_as_often_as_allowed,
    _streams_give_each_first_outcome_once,
    _owners_tasks_start_in_log_order,
    _law_row_18_nothing_expires_early,
    _row_29_cancelled_only_when_asked,
)
