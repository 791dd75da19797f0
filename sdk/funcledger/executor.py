"""A standard ``concurrent.futures`` executor whose workers are an endpoint's."""

import atexit
import concurrent.futures
import logging
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from threading import Condition, Event, Lock, Thread
from typing import Any
from weakref import WeakSet, finalize

from funcledger.client import Client
from funcledger.errors import ComputeError, InvalidRequest
from funcledger.futures import TaskFuture
from funcledger.listener import Follower, Listener, ended
from funcledger.local_functions import LocalFunction, LocalFunctions
from funcledger.names import Id, as_id, new_task_id
from funcledger.references import weakly
from funcledger.results import Answer
from funcledger.sender import Cancellation, Sender, Submission
from funcledger.shared_client import shared_client
from funcledger.submission import MOST_TASKS, NewTask, TaskOptions, check_serializer, resources, serialise
from funcledger.tasks import error_of, is_finished, value_of
from funcledger.waiting_notice import tell_if_offline
from funcledger_schemas import tracing
from funcledger_schemas.ids import new_id

#: How long, in seconds, the end of a program waits for the last submissions to go out.
_LAST_WORD = 10.0
_log = logging.getLogger(__name__)
_open: "WeakSet[Executor]" = WeakSet()
#: Those that have unfinished futures: they live on when nobody else has them, as of the standard library's.
_busy: "set[Executor]" = set()
#: Set when what the program has left to send is sent, after which nothing more would go out.
_at_exit = Event()
_TOO_LATE = (
    "cannot submit at the program's end: its last calls have been sent. Submit before, in an exit handler "
    "that is registered after the import of funcledger, or with Client.run, which returns when it is sent."
)


class Executor(concurrent.futures.Executor):
    """Runs calls on an endpoint, given by id or name.

    ``submit`` serialises and returns at once; calls go out together, as many as have gathered. What runs is
    what stands in the program when ``submit`` is called: the function is sent once, and with a call what has
    changed since of what it refers to. ``serializer`` "cloudpickle" or "dill" says who writes code; "json"
    has arguments be such that other languages can read them. ``walltime`` and ``expires_in`` are in seconds;
    ``memory``, which a call and all it starts may take, in bytes or as a size such as "2GB".

    Executors on one client share its connections and its one stream of results; without a ``client`` all of a
    program that talk to the same server share one. An executor that is dropped without a shutdown still has
    its calls run; when they are done, what ran for it ends.
    """

    def __init__(
        self,
        endpoint_id: Id | None = None,
        client: Client | None = None,
        task_group_id: Id | None = None,
        resource_specification: dict[str, Any] | None = None,
        user_endpoint_config: dict[str, Any] | None = None,
        label: str = "",
        batch_size: int = MOST_TASKS,
        serializer: str | None = None,
        result_serializers: Sequence[str] | None = None,
        *,
        walltime: float | None = None,
        memory: int | str | None = None,
        max_attempts: int | None = None,
        expires_in: int | None = None,
    ) -> None:
        del result_serializers  # results say themselves how to be read
        self.endpoint_id = endpoint_id
        self.task_group_id = new_id() if task_group_id is None else as_id(task_group_id, "task_group_id")
        self.label = label
        self.options = TaskOptions(
            walltime,
            max_attempts,
            expires_in,
            resources(resource_specification, memory),
            user_endpoint_config,
        )
        self.client = client or shared_client()
        self._serializer = check_serializer(serializer)
        self._batch_size = max(1, min(batch_size, MOST_TASKS))
        self._functions = LocalFunctions(None if serializer == "json" else serializer)
        self._futures: dict[str, TaskFuture] = {}
        self._all_done = Condition()
        self._opening = Lock()
        self._sender: Sender | None = None
        #: Ends what runs for this executor, once: when it is idle after a shutdown, or collected.
        self._let_go: finalize[..., Executor] | None = None
        self._weak_cancel = weakly(self._ask_to_cancel)
        self._closed = False
        #: Whether anything has come since the last look, and of which endpoints it was asked why not.
        self._heard = True
        self._asked_of: set[str] = set()
        #: Why no result will come any more.
        self._broken: ComputeError | None = None

    def __repr__(self) -> str:
        return f"Executor({self.label or self.endpoint_id!r}, task_group_id={self.task_group_id!r})"

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> TaskFuture:
        """Call ``fn(*args, **kwargs)`` on the endpoint; its future.

        Raises:
            SerializationError: naming the function or the argument; nothing is sent.
            ArgumentsTooLarge, FunctionTooLarge: with both numbers; nothing is sent.
            RuntimeError: after shutdown.
        """
        function, form = self._functions.of(fn)
        return self._enqueue(function.function_id, args, kwargs, function, form)

    def submit_to_registered_function(
        self, function_id: Id, args: Sequence[Any] | None = None, kwargs: Mapping[str, Any] | None = None
    ) -> TaskFuture:
        """Call a function that is registered already."""
        return self._enqueue(as_id(function_id, "function_id"), args or (), kwargs or {}, None)

    def register_function(self, fn: Callable[..., Any], **about: Any) -> str:
        """Register a function, as ``Client.register_function`` does; its id."""
        return self.client.register_function(fn, **about)

    def reload_tasks(self, task_group_id: Id | None = None) -> list[TaskFuture]:
        """Futures for every task of a group, this executor's own or one that another program submitted.

        The executor goes on with that group, so this comes before its first submission.
        """
        if task_group_id is not None and task_group_id != self.task_group_id:
            if self._sender is not None:
                raise InvalidRequest(
                    "reload_tasks with another task group must come before the first submission."
                )
            self.task_group_id = as_id(task_group_id, "task_group_id")
        _busy.add(self)
        futures = [self._known(task) for task in self.client.results.batch(self.task_group_id)]
        with self._opening:
            if self._sender is None:
                self._start()
        self._end_if_idle()
        return futures

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Take no more calls; ``wait`` for those submitted, or first ask for all of them to be cancelled."""
        with self._opening:
            self._closed = True
        if cancel_futures:
            for future in list(self._futures.values()):
                future.cancel()
        if wait:
            with self._all_done:
                self._all_done.wait_for(lambda: not self._futures)
        self._end_if_idle()

    def _enqueue(
        self,
        function_id: str,
        args: Sequence[Any],
        kwargs: Mapping[str, Any],
        function: LocalFunction | None,
        form: bytes | None = None,
    ) -> TaskFuture:
        if self.endpoint_id is None:
            raise InvalidRequest("The executor has no endpoint: Executor(endpoint_id=...).")
        payload_format, payload = serialise(args, kwargs, self._serializer, form)
        endpoint = self.client.endpoints.resolve(self.endpoint_id)
        task = NewTask(new_task_id(), endpoint, function_id, payload_format, payload, self.options)
        future = TaskFuture(task.task_id, self._weak_cancel)
        future.endpoint_id = endpoint
        with self._opening:
            if _at_exit.is_set():
                raise RuntimeError(_TOO_LATE)
            sender = self._sender or self._start()
            if self._closed:
                raise RuntimeError("cannot submit after shutdown")
            if self._broken is not None:
                raise ComputeError(f"{self._broken} Make a new executor.") from self._broken
            self._futures[task.task_id] = future
            _busy.add(self)
            sender.say(Submission(task, future, function))
        return future

    def _start(self) -> Sender:
        """Listen first, then send: so the stream begins where nothing has happened yet."""
        if self._closed:
            raise RuntimeError("cannot submit after shutdown")
        listener, give_up = self.client.listener, weakly(self._give_up)
        follower = Follower(
            self.task_group_id, weakly(self._deliver), give_up, weakly(self._note_begun), weakly(self._look)
        )
        number = listener.follow(follower)
        self._sender = Sender(
            self.client.transport, self.task_group_id, weakly(self._end), self._batch_size, give_up
        )
        self._let_go = finalize(self, _end_threads, listener, number, self._sender)
        self._let_go.atexit = False
        _open.add(self)
        return self._sender

    def _known(self, task: Mapping[str, Any]) -> TaskFuture:
        future = TaskFuture(task["task_id"], self._weak_cancel)
        future.endpoint_id = task["endpoint_id"]
        future.set_running_or_notify_cancel()
        if task["status"] == "running":
            future.set_begun()
        return self._futures.setdefault(future.task_id, future)

    def _ask_to_cancel(self, future: TaskFuture) -> None:
        if self._sender is not None:
            self._sender.say(Cancellation(future))

    def _look(self) -> None:
        """Called now and again by the thread that reads results: if nothing comes, say why if that is known.

        It is asked once of each endpoint, and again when something has come in between.
        """
        waited, self._heard = not self._heard, False
        if not waited:
            self._asked_of.clear()
            return
        waiting = Counter(future.endpoint_id for future in list(self._futures.values()))
        if unasked := {each: n for each, n in waiting.items() if each not in self._asked_of}:
            self._asked_of |= unasked.keys()
            # Results go on coming while that is asked.
            Thread(target=tell_if_offline, args=(self.client.endpoints, unasked), daemon=True).start()

    def _note_begun(self, task_ids: Sequence[str]) -> None:
        for task_id in task_ids:
            if (future := self._futures.get(task_id)) is not None:
                self._heard = True
                future.set_begun()

    def _deliver(self, answers: Sequence[Answer]) -> None:
        self._heard = True
        for task, payload in answers:
            future = self._futures.get(task["task_id"]) if is_finished(task) else None
            if future is not None and self._is_of(future, task):
                del self._futures[future.task_id]
                began = time.time_ns()
                _settle(future, partial(_resolve, future, task, payload or b""))
                if (spans := tracing.spans) is not None:
                    spans.hop("result", [future.task_id], began, time.time_ns())
        self._end_if_idle()

    def _is_of(self, future: TaskFuture, task: Mapping[str, Any]) -> bool:
        """Whether it is the task that was sent; a result may hold code, so no other is opened."""
        return (task["endpoint_id"], task["batch_id"]) == (future.endpoint_id, self.task_group_id)

    def _end(self, future: TaskFuture, error: Exception | None) -> None:
        """A call that was not sent: cancelled before (no error), or refused."""
        if self._futures.pop(future.task_id, None) is not None and error is not None:
            if _at_exit.is_set():  # nobody will look at the future any more
                _log.warning("the call %s was not sent, and the program ends: %s", future.task_id, error)
            _settle(future, partial(future.set_exception, error))
        self._end_if_idle()

    def _give_up(self, error: ComputeError) -> None:
        """No result will come any more."""
        self._broken = error
        for task_id in list(self._futures):
            future = self._futures.pop(task_id, None)
            if future is not None and not future.done():
                _settle(future, partial(future.set_exception, error))
        self._end_if_idle()

    def _end_if_idle(self) -> None:
        if self._futures:
            return
        _busy.discard(self)
        if self._futures:  # another thread has submitted just now
            _busy.add(self)
        with self._all_done:
            self._all_done.notify_all()
        if self._closed and self._let_go is not None:
            self._let_go()


def _end_threads(listener: Listener, number: int, sender: Sender) -> None:
    listener.leave(number)
    sender.stop()


def _settle(future: TaskFuture, resolve: Callable[[], None]) -> None:
    """Resolve one future; what its callbacks raise ends neither this thread nor what others wait for."""
    try:
        resolve()
    except BaseException as error:  # SystemExit of a callback, too
        _log.exception("a callback of task %s raised %s", future.task_id, type(error).__name__)
        if not future.done():
            future.set_exception(ended("The reading of its outcome", error))


def _resolve(future: TaskFuture, task: Mapping[str, Any], payload: bytes) -> None:
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


@atexit.register
def _send_the_rest() -> None:
    """At the program's end, send what was submitted without a shutdown; nobody waits for its results.

    Exit handlers that were registered before this one run after it: what these submit is refused.
    """
    _at_exit.set()
    for executor in list(_open):
        with executor._opening:  # who has not seen the sign has said its call by then
            sender = executor._sender
        if sender is not None and not sender.flush(_LAST_WORD):
            _log.warning(
                "calls of %r were not sent within %.0f s, and the program ends: they may not run",
                executor,
                _LAST_WORD,
            )
