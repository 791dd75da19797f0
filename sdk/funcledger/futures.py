"""The future of one task: a standard one that knows its task's id and can ask for it to be cancelled."""

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import CancelledError, Future
from concurrent.futures._base import CANCELLED, CANCELLED_AND_NOTIFIED, FINISHED, PENDING, RUNNING
from functools import partial
from typing import Any

from funcledger.errors import ComputeError
from funcledger.listener import ended
from funcledger.results import Answer
from funcledger.tasks import error_of, is_finished, value_of

_log = logging.getLogger(__name__)
_OVER = (CANCELLED, CANCELLED_AND_NOTIFIED, FINISHED)


class TaskFuture(Future[Any]):
    """A future resolved when the task's outcome arrives.

    Before the task is sent ``cancel`` drops it and returns True. Afterwards it asks the server and
    returns False, as the standard library has it for what can no longer be taken back;
    the future ends cancelled if the cancel comes before another outcome.
    """

    def __init__(self, task_id: str, ask_to_cancel: Callable[["TaskFuture"], None]) -> None:
        super().__init__()
        self.task_id = task_id
        #: Where it was sent to and in which batch; for whoever asks to cancel it.
        self.endpoint_id = ""
        self._ask_to_cancel = ask_to_cancel
        self._was_cancelled = False
        self._has_begun = False

    def running(self) -> bool:
        """Whether the call is seen to run just now: not while it only waits for a worker."""
        return self._has_begun and super().running()

    def claim(self) -> bool:
        """Whether it is to be sent: it was neither cancelled nor given up. It can be taken back no more."""
        with self._condition:
            return self._state != FINISHED and self.set_running_or_notify_cancel()

    def set_begun(self) -> None:
        """A worker has begun the call."""
        self._has_begun = True

    def cancel(self) -> bool:
        """Cancel the task; False if it has been sent and the server was asked, or it is finished."""
        if super().cancel():
            return True
        if not self.done():
            self._ask_to_cancel(self)
        return False

    def cancelled(self) -> bool:
        """Whether it ended cancelled."""
        return self._was_cancelled or super().cancelled()

    def exception(self, timeout: float | None = None) -> BaseException | None:
        """What the task raised; None when it succeeded. Raises CancelledError if it was cancelled."""
        error = super().exception(timeout)
        if self._was_cancelled and error is not None:
            raise error
        return error

    def set_cancelled(self, message: str) -> None:
        """End it cancelled after it was sent."""
        self._was_cancelled = True
        self.set_exception(CancelledError(message))

    def is_answered_by(self, task: Mapping[str, Any], batch_id: str) -> bool:
        """Whether it is the task that was sent; a result may hold code, so no other is opened."""
        return (task["endpoint_id"], task["batch_id"]) == (self.endpoint_id, batch_id)

    @property
    def has_ended(self) -> bool:
        """As ``done``, without its lock."""
        return self._state in _OVER

    def leave_to_parent(self, ask_to_cancel: Callable[["TaskFuture"], None]) -> None:
        """In a forked child: the parent has sent it or will, and runs the callbacks that it has so far."""
        self._ask_to_cancel = ask_to_cancel
        self._done_callbacks: list[Callable[[Future[Any]], object]] = []
        if self._state == PENDING:
            self._state = RUNNING


def settle(future: TaskFuture, resolve: Callable[[], None]) -> None:
    """Resolve one future; what its callbacks raise ends neither this thread nor what others wait for."""
    try:
        resolve()
    except BaseException as error:  # SystemExit of a callback, too
        _log.exception("a callback of task %s raised %s", future.task_id, type(error).__name__)
        if not future.done():
            future.set_exception(ended("The reading of its outcome", error))


def answered(
    futures: Mapping[str, TaskFuture], batch_id: str, answers: Iterable[Answer]
) -> Iterator[tuple[TaskFuture, Callable[[], None]]]:
    """Those of a batch's futures (by task id) that these answers are to, each with what resolves it."""
    for task, payload in answers:
        future = futures.get(task["task_id"]) if is_finished(task) else None
        if future is not None and future.is_answered_by(task, batch_id):
            yield future, partial(resolve, future, task, payload or b"")


def resolve(future: TaskFuture, task: Mapping[str, Any], payload: bytes) -> None:
    """End a future as its task has ended."""
    error = error_of(task, payload)
    if task["status"] == "cancelled":
        future.set_cancelled(str(error))
    elif error is not None:
        future.set_exception(error)
    else:
        try:
            value = value_of(task, payload)
        except ComputeError as unread:
            future.set_exception(unread)
        else:
            future.set_result(value)
