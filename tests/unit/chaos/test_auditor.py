"""The auditor can fail: a run in which all is well, doctored in one place, gives the finding of its name."""

import hashlib
import pickle
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.chaos.auditor.case import Case
from tests.chaos.auditor.checks import findings
from tests.chaos.auditor.evidence import (
    Call,
    Evidence,
    Execution,
    Got,
    Seen,
    Strike,
    read_client,
    read_executions,
    read_killer,
)
from tests.chaos.auditor.facts import Fact
from tests.chaos.journal import Journal

ENDPOINT = "lab"
#: The append time of the first fact, in ms.
DAWN = 1_700_000_000_000


class Run:
    """A log and its evidence, in lists to be doctored: one agent; call 1 is task ``a``, call 2 ``b``.

    ``a`` may have three attempts, ``b`` one.
    """

    def __init__(self, folder: Path) -> None:
        self.facts: list[Fact] = []
        self.said = 0
        self.offsets = {"tasks": 0, "results": 0}
        self.starts(0)
        for token, task, attempts in ((1, "a", 3), (2, "b", 1)):
            self.says(
                "TaskSubmitted", task, request_digest=task, max_attempts=attempts, **payload(((token,), {}))
            )
            self.says("TaskStarted", task, epoch=0, attempt=1)
            self.says("TaskCompleted", task, epoch=0, attempt=1, **payload(2 * token))
        self._write(folder)
        strikes, processes = read_killer(folder / "killer")
        none = hashlib.sha256().hexdigest()
        self.evidence = Evidence(
            client=read_client(folder / "client"),
            executions=read_executions(folder / "executions"),
            strikes=strikes,
            processes=processes,
            statuses={"a": ("success", 1, None), "b": ("success", 1, None)},
            rebuilt={"a": ("success", 1, None), "b": ("success", 1, None)},
            rebuild_differs=[],
            leaves={"tasks/0": none, "results/0": none},
            endings=[],
        )

    def _write(self, folder: Path) -> None:
        client, killer = Journal(folder / "client"), Journal(folder / "killer")
        client.write("sending", submission=1, calls=[Call(1, "value", "2", 3), Call(2, "value", "4", 1)])
        client.write("acknowledged", submission=1, tasks=["a", "b"])
        client.write("got", tasks={"a": Got("success", None, "2"), "b": Got("success", None, "4")})
        killer.write("seen", role="agent", pid=10, parent=1, created=(DAWN - 1) * 1_000_000)
        killer.write("seen", role="worker", pid=11, parent=10, created=DAWN * 1_000_000)
        (folder / "executions").write_text(f"1 11 10 {at(3)}\n2 11 10 {at(6)}\n")

    def says(self, name: str, task: str | None = None, **fields: Any) -> None:
        """Append a fact; each takes a second."""
        topic = "tasks" if name in ("TaskSubmitted", "TaskCancelRequested") else "results"
        timestamp = DAWN + self.said * 1000
        common = {"event_id": str(self.said), "occurred_at": timestamp * 1000, "endpoint_id": ENDPOINT}
        if task is not None:
            common["task_id"] = task
        self.facts.append(Fact(topic, 0, self.offsets[topic], timestamp, name, common | fields))
        self.offsets[topic] += 1
        self.said += 1

    def starts(self, supersedes: int) -> None:
        """An agent takes over."""
        self.says("EndpointStarted", supersedes=supersedes if self.facts else -1)

    def without(self, name: str, task: str) -> None:
        """Lose a fact."""
        self.facts = [each for each in self.facts if (each.name, each.fields.get("task_id")) != (name, task)]

    def change(self, name: str, task: str, **fields: Any) -> None:
        """Have a fact say something else."""
        self.facts = [
            replace(each, fields=each.fields | fields)
            if (each.name, each.fields.get("task_id")) == (name, task)
            else each
            for each in self.facts
        ]

    def kill(self, role: str, pid: int, when: int) -> None:
        """A SIGKILL after so many facts."""
        self.evidence.strikes.append(Strike(at(when), "SIGKILL", role, pid))

    def findings(self) -> dict[str, list[str]]:
        """What the auditor says."""
        return findings(Case(self.facts, self.evidence))


def at(facts: int) -> int:
    """The time after so many facts, in ns."""
    return (DAWN + facts * 1000) * 1_000_000


def payload(value: object) -> dict[str, Any]:
    data = pickle.dumps(value)
    return {
        "payload": data,
        "payload_size": len(data),
        "payload_sha256": hashlib.sha256(data).hexdigest(),
    }


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return Run(tmp_path)


def test_of_a_run_in_which_all_is_well_there_is_nothing_to_say(run: Run) -> None:
    assert run.findings() == {}


def lose_a_submission(run: Run) -> None:
    run.without("TaskSubmitted", "a")


def submit_a_call_twice(run: Run) -> None:
    run.says("TaskSubmitted", "c", request_digest="c", max_attempts=3, **payload(((1,), {})))


def submit_what_nobody_sent(run: Run) -> None:
    run.says("TaskSubmitted", "c", request_digest="c", max_attempts=3, **payload(((3,), {})))


def submit_something_else_under_the_same_id(run: Run) -> None:
    run.says("TaskSubmitted", "a", request_digest="z", max_attempts=3, **payload(((1,), {})))


def send_what_was_taken_back(run: Run) -> None:
    run.evidence.client.unsent.add(1)


def lose_an_outcome(run: Run) -> None:
    run.without("TaskCompleted", "a")


def believe_an_outcome_of_an_agent_before(run: Run) -> None:
    run.kill("agent", 10, 7)
    run.without("TaskCompleted", "a")
    run.starts(0)
    run.says("TaskCompleted", "a", epoch=0, attempt=1, **payload(2))


def begin_the_same_attempt_twice(run: Run) -> None:
    run.change("TaskCompleted", "a", task_id="z")
    run.says("TaskStarted", "a", epoch=0, attempt=1)


def begin_too_often(run: Run) -> None:
    run.without("TaskCompleted", "b")
    run.says("TaskAttemptFailed", "b", epoch=0, attempt=1, kind="WorkerDied", message="process 11")
    run.says("TaskStarted", "b", epoch=0, attempt=2)
    run.says("TaskCompleted", "b", epoch=0, attempt=2, **payload(4))


def complete_what_was_not_begun(run: Run) -> None:
    run.without("TaskStarted", "a")


def return_something_else(run: Run) -> None:
    run.change("TaskCompleted", "a", **payload(3))


def fail_before_all_attempts_are_made(run: Run) -> None:
    run.without("TaskCompleted", "a")
    run.says("TaskFailed", "a", epoch=0, attempt=1, kind="WorkerDied", message="process 11", **payload(0))


def cancel_what_nobody_asked_for(run: Run) -> None:
    run.without("TaskCompleted", "a")
    run.says("TaskCancelled", "a", epoch=0, attempt=1)


def lose_a_worker_that_nobody_killed(run: Run) -> None:
    run.without("TaskCompleted", "a")
    run.says("TaskAttemptFailed", "a", epoch=0, attempt=1, kind="WorkerDied", message="process 11")


def blame_the_agent_that_speaks(run: Run) -> None:
    run.without("TaskCompleted", "a")
    run.says("TaskAttemptFailed", "a", epoch=0, attempt=1, kind="TaskLost", message="the agent ended")


def supersede_an_agent_that_lives(run: Run) -> None:
    run.starts(0)


def supersede_an_agent_that_lives_once_another_has_left(run: Run) -> None:
    run.starts(0)
    run.says("EndpointStopped", epoch=3)


def alter_a_payload(run: Run) -> None:
    run.change("TaskSubmitted", "a", payload=pickle.dumps(((1, 1), {})))


def alter_a_record(run: Run) -> None:
    run.facts[2] = replace(run.facts[2], leaf=b"another")


def write_a_dead_letter(run: Run) -> None:
    run.facts.append(Fact("dead_letters", 0, 0, DAWN, "RecordDeadLettered", {}))


def believe_the_second_outcome(run: Run) -> None:
    run.says("TaskFailed", "a", epoch=0, attempt=1, kind="Exception", message="", **payload(0))
    run.evidence.statuses["a"] = ("failed", 1, "Exception")


def rebuild_something_else(run: Run) -> None:
    run.evidence.rebuilt["a"] = ("success", 2, None)


def rebuild_other_documents(run: Run) -> None:
    run.evidence.rebuild_differs.append("task_history: 1 documents")


def tell_the_client_the_second_outcome(run: Run) -> None:
    run.says("TaskCompleted", "a", epoch=0, attempt=1, **payload(5))
    run.evidence.client.got["a"] = {Got("success", None, "5")}


def tell_the_client_two_outcomes(run: Run) -> None:
    run.evidence.client.got["a"].add(Got("cancelled", None, None))


def never_tell_the_client(run: Run) -> None:
    del run.evidence.client.got["a"]


def surprise_the_client(run: Run) -> None:
    run.evidence.client.surprises.append("TaskNotFound")


def run_once_without_a_start(run: Run) -> None:
    run.without("TaskStarted", "b")
    run.kill("agent", 10, 9)


def run_before_the_start(run: Run) -> None:
    run.evidence.executions[1] = Execution(2, 11, 10, at(4))


def run_without_a_start(run: Run) -> None:
    run.evidence.executions.append(Execution(1, 11, 10, at(9)))


def run_without_a_start_before_another_agent_was_killed(run: Run) -> None:
    run.evidence.executions.append(Execution(1, 13, 12, at(9)))
    run.evidence.processes.append(Seen("agent", 12, 1, at(8)))
    run.kill("agent", 10, 9)


def run_twice_what_may_run_once(run: Run) -> None:
    run.evidence.executions.append(Execution(2, 11, 10, at(9)))


def run_what_was_never_submitted(run: Run) -> None:
    run.evidence.executions.append(Execution(3, 11, 10, at(9)))


def complete_without_a_run(run: Run) -> None:
    del run.evidence.executions[0]


def end_by_itself(run: Run) -> None:
    run.evidence.endings.append("the server ended with 1")


DOCTORED: list[tuple[Callable[[Run], None], str]] = [
    (lose_a_submission, "acknowledged_means_durable"),
    (submit_a_call_twice, "a_retry_is_the_same_submission"),
    (submit_what_nobody_sent, "a_retry_is_the_same_submission"),
    (submit_something_else_under_the_same_id, "a_retry_is_the_same_submission"),
    (send_what_was_taken_back, "a_retry_is_the_same_submission"),
    (lose_an_outcome, "every_task_ends"),
    (believe_an_outcome_of_an_agent_before, "every_task_ends"),
    (believe_an_outcome_of_an_agent_before, "the_read_models_tell_the_log"),
    (begin_the_same_attempt_twice, "attempts_are_counted"),
    (begin_too_often, "attempts_are_counted"),
    (complete_what_was_not_begun, "attempts_are_counted"),
    (return_something_else, "every_outcome_is_right"),
    (fail_before_all_attempts_are_made, "every_outcome_is_right"),
    (cancel_what_nobody_asked_for, "every_outcome_is_right"),
    (lose_a_worker_that_nobody_killed, "every_loss_has_a_cause"),
    (blame_the_agent_that_speaks, "every_loss_has_a_cause"),
    (supersede_an_agent_that_lives, "every_loss_has_a_cause"),
    (supersede_an_agent_that_lives_once_another_has_left, "every_loss_has_a_cause"),
    (alter_a_payload, "payloads_are_whole"),
    (alter_a_record, "payloads_are_whole"),
    (write_a_dead_letter, "nothing_was_unreadable"),
    (believe_the_second_outcome, "the_read_models_tell_the_log"),
    (rebuild_something_else, "the_read_models_tell_the_log"),
    (rebuild_other_documents, "the_read_models_tell_the_log"),
    (tell_the_client_the_second_outcome, "the_client_got_the_outcome"),
    (tell_the_client_two_outcomes, "the_client_got_the_outcome"),
    (never_tell_the_client, "the_client_got_the_outcome"),
    (surprise_the_client, "the_client_got_the_outcome"),
    (run_once_without_a_start, "no_run_without_its_start"),
    (run_before_the_start, "no_run_without_its_start"),
    (run_without_a_start, "no_run_without_its_start"),
    (run_without_a_start_before_another_agent_was_killed, "no_run_without_its_start"),
    (run_twice_what_may_run_once, "at_most_once_is_once"),
    (run_what_was_never_submitted, "at_most_once_is_once"),
    (complete_without_a_run, "at_most_once_is_once"),
    (end_by_itself, "nothing_ended_by_itself"),
]


@pytest.mark.parametrize(("doctor", "law"), DOCTORED, ids=lambda each: getattr(each, "__name__", each))
def test_the_auditor_finds(run: Run, doctor: Callable[[Run], None], law: str) -> None:
    doctor(run)
    assert law in run.findings()


def test_a_run_whose_start_died_with_its_killed_agent_is_explained(run: Run) -> None:
    """It runs again, as the first attempt that the log knows."""
    run.evidence.executions.insert(0, Execution(1, 9, 8, at(-5)))
    run.evidence.processes += [Seen("agent", 8, 1, at(-9)), Seen("worker", 9, 8, at(-8))]
    run.kill("agent", 8, -4)
    assert run.findings() == {}


def test_an_agent_that_a_rival_supersedes_may_lose_its_last_words(run: Run) -> None:
    run.evidence.strikes.append(Strike(at(7), "RIVAL", "agent", 12))
    run.evidence.processes.append(Seen("agent", 12, 1, at(7)))
    run.starts(0)
    run.evidence.executions.append(Execution(1, 11, 10, at(9)))
    assert run.findings() == {}
    run.evidence.strikes.clear()
    assert run.findings().keys() == {"every_loss_has_a_cause", "no_run_without_its_start"}


def test_a_worker_that_outlives_its_agent_for_an_instant_is_still_that_agents(run: Run) -> None:
    run.evidence.executions[0] = Execution(1, 11, 1, at(3))
    assert run.findings() == {}
