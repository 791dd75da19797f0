"""Futures that a forked child has from its parent: the child reads their outcomes for itself, once it asks.

The parent waits for them as before. Most children never look at them, so nothing is opened until one does.
"""

from collections.abc import Iterable, Sequence
from functools import partial
from threading import Condition, Lock
from typing import TYPE_CHECKING

from funcledger.errors import ComputeError
from funcledger.forks import renewed_in_children
from funcledger.futures import TaskFuture, answered, settle
from funcledger.listener import Follower, Listener
from funcledger.results import Answer
from funcledger.sender import ask_to_cancel

if TYPE_CHECKING:
    from funcledger.transport import Transport


class InheritedFutures:
    """The parent's unfinished futures of one task group, in a child."""

    def __init__(self, transport: "Transport", batch_id: str, futures: Iterable[TaskFuture]) -> None:
        self._transport = transport
        self._batch_id = batch_id
        self._futures: dict[str, TaskFuture] = {}
        self._take_over(futures)
        renewed_in_children(self)

    def renew(self) -> None:
        """In a child of this child: nobody has asked there yet."""
        self._take_over([*self._futures.values()])

    def _take_over(self, futures: Iterable[TaskFuture]) -> None:
        self._opening = Lock()
        self._listener: Listener | None = None
        for future in futures:
            InheritedFuture.take_over(future, self)
            if not future.has_ended:
                self._futures[future.task_id] = future

    def listen(self) -> None:
        """Begin to read, if nobody has asked before."""
        if self._listener is not None or not self._futures:
            return
        with self._opening:
            if self._listener is None:
                # Connections of its own: the child may close the executor's client, and wait on.
                self._transport = self._transport.another()
                listener = Listener(self._transport)
                listener.follow(Follower(self._batch_id, self._deliver, self._give_up, self._note_begun))
                self._listener = listener

    def _note_begun(self, task_ids: Sequence[str]) -> None:
        for task_id in task_ids:
            if (future := self._futures.get(task_id)) is not None:
                future.set_begun()

    def _deliver(self, answers: Sequence[Answer]) -> None:
        for future, resolve in answered(self._futures, self._batch_id, answers):
            del self._futures[future.task_id]
            settle(future, resolve)
        self._end_if_all_are_done()

    def _give_up(self, error: ComputeError) -> None:
        while self._futures:
            _, future = self._futures.popitem()
            settle(future, partial(future.set_exception, error))
        self._end_if_all_are_done()

    def _end_if_all_are_done(self) -> None:
        if not self._futures and self._listener is not None:
            self._listener.close()
            self._transport.close()

    def cancel(self, future: TaskFuture) -> None:
        """Ask for it to be cancelled."""
        ask_to_cancel(self._transport, self._batch_id, [future])


class InheritedFuture(TaskFuture):
    """One of them: has its outcome asked for when somebody looks at it or waits for it."""

    _group: InheritedFutures

    @property
    def _condition(self) -> Condition:  # type: ignore[override]  # each look and each wait goes through it
        self._group.listen()
        own: Condition | None = vars(self).get("_condition")
        if own is None:
            own = vars(self).setdefault("_condition", Condition())
        return own

    @classmethod
    def take_over(cls, future: TaskFuture, group: InheritedFutures) -> None:
        """Part it from the parent, which has sent it or will, and runs the callbacks that it has so far."""
        vars(future).pop("_condition", None)  # a thread that is not here may hold its lock
        future.__class__ = cls
        vars(future)["_group"] = group
        future.leave_to_parent(group.cancel)
