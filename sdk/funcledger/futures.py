"""The future of one task: a standard one that knows its task's id and can ask for it to be cancelled."""

from collections.abc import Callable
from concurrent.futures import CancelledError, Future
from typing import Any


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
