"""A thread of the SDK that ends says so to all who wait; the trouble of one future ends no thread."""

import threading
from typing import Any, cast

import pytest
from tests.support.poll import until_sync

from funcledger import errors
from funcledger.executor import Executor
from funcledger.futures import TaskFuture, settle
from funcledger.listener import Follower, Listener
from funcledger.sender import Sender, Submission
from funcledger.submission import NewTask
from funcledger.transport import Transport
from funcledger_schemas.ids import new_id

pytestmark = [pytest.mark.fault(35), pytest.mark.law(15)]


class Ends:
    """A transport whose every use ends the thread that makes it."""

    def __init__(self, error: BaseException) -> None:
        self.error = error

    def stream(self, *_: object) -> Any:
        raise self.error


@pytest.mark.parametrize("error", [SystemExit(7), MemoryError(), KeyboardInterrupt(), GeneratorExit()])
def test_a_listener_that_ends_gives_the_reason(error: BaseException) -> None:
    reasons: list[errors.ComputeError] = []
    listener = Listener(cast("Transport", Ends(error)))
    listener.follow(Follower(new_id(), lambda _: None, reasons.append))
    until_sync(lambda: reasons)
    assert f"was ended by {type(error).__name__}" in str(reasons[0])
    assert reasons[0].__cause__ is error


def test_a_sender_that_ends_gives_the_reason_and_nobody_waits_for_it() -> None:
    reasons: list[errors.ComputeError] = []

    def fail(*_: object) -> None:
        raise SystemExit(7)

    sender = Sender(cast("Transport", Ends(SystemExit(1))), new_id(), fail, 10, reasons.append)
    future = TaskFuture(new_id(), lambda _: None)
    future.cancel()
    sender.say(Submission(NewTask(future.task_id, new_id(), new_id(), "pickle", b""), future))
    until_sync(lambda: reasons)
    assert "The thread that sends calls was ended by SystemExit: 7" in str(reasons[0])
    assert sender.flush(5)


def test_a_call_that_was_given_up_before_it_was_sent_is_not_sent(caplog: pytest.LogCaptureFixture) -> None:
    reasons: list[errors.ComputeError] = []
    ended: list[TaskFuture] = []
    sender = Sender(
        cast("Transport", Ends(SystemExit(1))),
        new_id(),
        lambda future, _: ended.append(future),
        10,
        reasons.append,
    )
    future = TaskFuture(new_id(), lambda _: None)
    future.set_exception(errors.ComputeError("No result will come any more."))
    sender.say(Submission(NewTask(future.task_id, new_id(), new_id(), "pickle", b""), future))
    assert sender.flush(5)
    sender.stop()
    assert (ended, reasons, caplog.text) == ([future], [], "")


def test_a_callback_that_exits_ends_nothing_but_itself(caplog: pytest.LogCaptureFixture) -> None:
    future = TaskFuture(new_id(), lambda _: None)
    future.add_done_callback(lambda _: (_ for _ in ()).throw(SystemExit(3)))
    settle(future, lambda: future.set_result(5))
    assert future.result(0) == 5
    assert "a callback of task" in caplog.text


def test_an_executor_whose_thread_has_ended_fails_all_futures_and_takes_no_more() -> None:
    from funcledger import Client

    executor = Executor(new_id(), Client("http://127.0.0.1:9", "flu_x", patience=0.1))
    began = threading.Event()
    waiting = TaskFuture(new_id(), lambda _: None)
    executor._futures[waiting.task_id] = waiting
    waiting.add_done_callback(lambda _: began.set())
    executor._give_up(errors.ComputeError("The thread that reads results was ended by SystemExit: 7"))
    with pytest.raises(errors.ComputeError, match="SystemExit"):
        waiting.result(0)
    assert began.is_set()
    with pytest.raises(errors.ComputeError, match=r"SystemExit: 7.*Make a new executor"):
        executor.submit(pow, 2, 3)
    executor.shutdown(wait=False)
