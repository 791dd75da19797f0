"""What a user reads of a task."""

import copy
import json
import pickle

import pytest

from funcledger import errors
from funcledger.tasks import Pending, info, outcome
from funcledger_payloads import dump, dump_exception

DONE = {"task_id": "t", "status": "success", "payload_format": "pickle", "finished_at": 1500}


def test_pending_is_right_in_the_tutorials_idiom_and_in_todays() -> None:
    waiting, done = Pending(True), Pending(False)
    assert waiting == "True"
    assert waiting == True  # noqa: E712  # the comparison is what is tested
    assert waiting != "False"
    assert waiting
    assert done == "False"
    assert done == False  # noqa: E712
    assert done != "True"
    assert not done
    assert isinstance(done, str)
    assert {True: 1}[bool(waiting)] == 1
    for each in (waiting, done):
        assert pickle.loads(pickle.dumps(each)) == bool(each)
        assert copy.deepcopy(each) == bool(each)


def test_pending_is_a_boolean_in_json() -> None:
    for status, pending in (("running", True), ("success", False)):
        task = info({"task_id": "t", "status": status})
        assert json.loads(json.dumps(task))["pending"] is pending
        assert json.loads(json.dumps(task, indent=1, sort_keys=True))["pending"] is pending


def test_a_finished_task_holds_its_result_and_when() -> None:
    task = info(DONE, dump([1, 2])[1])
    assert task["result"] == [1, 2]
    assert task["completion_t"] == 1.5
    assert "exception" not in task


def test_a_failed_task_holds_its_exception_and_raises_nothing() -> None:
    sent = dump_exception(ZeroDivisionError("by zero"))
    failed = {**DONE, "status": "failed", "kind": "Exception", "payload_format": sent.format}
    task = info(failed, sent.payload)
    assert isinstance(task["exception"], ZeroDivisionError)
    assert "result" not in task
    with pytest.raises(ZeroDivisionError, match="by zero"):
        outcome(failed, sent.payload)


def test_a_result_that_cannot_be_read_here_is_an_exception_of_its_task() -> None:
    assert isinstance(info(DONE, b"junk")["exception"], errors.DeserializationError)


@pytest.mark.parametrize(
    ("kind", "error"),
    [
        ("TaskLost", errors.TaskLost),
        ("WorkerDied", errors.WorkerDied),
        ("WalltimeExceeded", errors.WalltimeExceeded),
        ("Expired", errors.TaskExpired),
        ("ResultTooLarge", errors.ResultTooLarge),
        ("VersionMismatch", errors.VersionMismatch),
        ("ResultNotSerializable", errors.SerializationError),
        ("ArgumentsNotLoaded", errors.DeserializationError),
        ("A kind of a later server", errors.TaskExecutionFailed),
    ],
)
def test_each_kind_of_failure_has_its_error_with_the_servers_sentence(
    kind: str, error: type[Exception]
) -> None:
    with pytest.raises(error, match="what happened"):
        outcome({"task_id": "t", "status": "failed", "kind": kind, "message": "what happened"}, b"")


def test_a_cancelled_task_raises_that_it_was() -> None:
    with pytest.raises(errors.TaskCancelled, match="cancelled"):
        outcome({"task_id": "t", "status": "cancelled"}, b"")
