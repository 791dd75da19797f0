"""A standard ``concurrent.futures`` executor whose workers are an endpoint's."""

import atexit
import concurrent.futures
import logging
import os
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from threading import Condition, Event, Lock, Thread
from typing import Any
from weakref import WeakSet, finalize

from funcledger.client import Client
from funcledger.errors import ComputeError, InvalidRequest
from funcledger.forks import renewed_in_children
from funcledger.futures import TaskFuture, answered, settle
from funcledger.inherited import InheritedFutures
from funcledger.listener import Follower, Listener
from funcledger.local_functions import LocalFunction, LocalFunctions
from funcledger.names import Id, as_id, new_task_id
from funcledger.references import weakly
from funcledger.results import Answer
from funcledger.sender import Cancellation, Sender, Submission
from funcledger.shared_client import shared_client
from funcledger.submission import MOST_TASKS, NewTask, check_serializer, serialise
from funcledger.task_settings import TaskSettings, refuse, whole_number
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


class Executor(TaskSettings, concurrent.futures.Executor):
    """Runs calls on an endpoint, given by id or name.

    ``submit`` serialises and returns at once; calls go out together, as many as have gathered. What runs is
    what stands in the program when ``submit`` is called: the function is sent once, and with a call what has
    changed since of what it refers to. ``serializer`` "cloudpickle" or "dill" says who writes code; "json"
    has arguments be such that other languages can read them. ``walltime`` and ``expires_in`` are in seconds;
    ``memory``, which a call and all it starts may take, in bytes or as a size such as "2GB". All of these can
    also be set later, for what is submitted then; the client and the task group, before the first submission.

    Executors on one client share its connections and its one stream of results; without a ``client`` all of a
    program that talk to the same server share one. An executor that is dropped without a shutdown still has
    its calls run; when they are done, what ran for it ends.

    A process forked from this one may go on with it, with threads and a stream of its own. Futures from
    before the fork end there too; the callbacks that they have run in the parent, and ``shutdown`` leaves
    them to it.
    """

    _fields = TaskSettings._fields | {"endpoint_id", "label"}

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
        container_id: object = None,
        amqp_port: object = None,
        api_burst_limit: object = None,
        api_burst_window_s: object = None,
    ) -> None:
        refuse(
            result_serializers=result_serializers,
            container_id=container_id,
            amqp_port=amqp_port,
            api_burst_limit=api_burst_limit,
            api_burst_window_s=api_burst_window_s,
        )
        self._begin()
        self.endpoint_id = endpoint_id
        self.task_group_id = new_id() if task_group_id is None else task_group_id
        self.label = label
        self._set(
            walltime=walltime,
            memory=memory,
            max_attempts=max_attempts,
            expires_in=expires_in,
            resource_specification=resource_specification,
            user_endpoint_config=user_endpoint_config,
        )
        self.serializer = serializer
        self.batch_size = batch_size
        self._client = client or shared_client()
        self._closed = False
        self._weak_cancel = weakly(self._ask_to_cancel)
        renewed_in_children(self)

    def _begin(self) -> None:
        """Nothing has been submitted by this process."""
        self._futures: dict[str, TaskFuture] = {}
        #: The future that is being resolved, and no longer among the others.
        self._settling: TaskFuture | None = None
        self._all_done = Condition()
        self._opening = Lock()
        self._sender: Sender | None = None
        #: Ends what runs for this executor, once: when it is idle after a shutdown, or collected.
        self._let_go: finalize[..., Executor] | None = None
        #: Whether anything has come since the last look, and of which endpoints it was asked why not.
        self._heard = True
        self._asked_of: set[str] = set()
        #: Why no result will come any more.
        self._broken: ComputeError | None = None

    def renew(self) -> None:
        """In a forked child: threads and a stream of its own; what the parent submitted is the parent's."""
        futures = list(self._futures.values())
        if self._settling is not None:
            futures.append(self._settling)
        if futures:
            InheritedFutures(self.client.transport, self.task_group_id, futures)
        if self._let_go is not None:
            self._let_go.detach()
        _busy.discard(self)
        self._begin()

    def __repr__(self) -> str:
        return f"Executor({self.label or self.endpoint_id!r}, task_group_id={self.task_group_id!r})"

    @property
    def client(self) -> Client:
        """What it asks the server with."""
        return self._client

    @client.setter
    def client(self, client: Client) -> None:
        self._check_unused("client")
        self._client = client

    @property
    def task_group_id(self) -> str:
        """The group of its tasks, by which another program finds them."""
        return self._task_group_id

    @task_group_id.setter
    def task_group_id(self, task_group_id: Id) -> None:
        self._check_unused("task_group_id")
        self._task_group_id = as_id(task_group_id, "task_group_id")

    @property
    def serializer(self) -> str | None:
        """What writes functions and arguments."""
        return self._serializer

    @serializer.setter
    def serializer(self, serializer: str | None) -> None:
        self._serializer = check_serializer(serializer)
        self._functions = LocalFunctions(None if serializer == "json" else serializer)

    @property
    def batch_size(self) -> int:
        """Most tasks in one request; no more than a server takes, whatever was asked for."""
        return self._batch_size

    @batch_size.setter
    def batch_size(self, batch_size: int) -> None:
        wanted = whole_number("batch_size", batch_size)
        self._check_unused("batch_size")
        self._batch_size = min(wanted, MOST_TASKS)

    def _check_unused(self, name: str) -> None:
        if self._sender is not None:
            raise InvalidRequest(f"{name} must be set before the executor's first submission.")

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

    def register_function(self, fn: Callable[..., Any], function_id: object = None, **about: Any) -> str:
        """Register a function, as ``Client.register_function`` does; its id."""
        refuse(function_id=function_id)
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
            self.task_group_id = str(task_group_id)
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
            try:
                self._futures[task.task_id] = future
                _busy.add(self)
                sender.say(Submission(task, future, function))
            except BaseException:  # Ctrl-C: nobody has this future, or is to wait for it
                self._futures.pop(task.task_id, None)
                raise
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
        _send_at_a_childs_end()
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
        for future, resolve in answered(self._futures, self.task_group_id, answers):
            self._settling = future
            del self._futures[future.task_id]
            began = time.time_ns()
            settle(future, resolve)
            if (spans := tracing.spans) is not None:
                spans.hop("result", [future.task_id], began, time.time_ns())
        self._settling = None
        self._end_if_idle()

    def _end(self, future: TaskFuture, error: Exception | None) -> None:
        """A call that was not sent: cancelled before (no error), or refused."""
        if self._futures.pop(future.task_id, None) is not None and error is not None:
            if _at_exit.is_set():  # nobody will look at the future any more
                _log.warning("the call %s was not sent, and the program ends: %s", future.task_id, error)
            settle(future, partial(future.set_exception, error))
        self._end_if_idle()

    def _give_up(self, error: ComputeError) -> None:
        """No result will come any more."""
        self._broken = error
        for task_id in list(self._futures):
            future = self._futures.pop(task_id, None)
            if future is not None and not future.done():
                settle(future, partial(future.set_exception, error))
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


#: The process that has been told to.
_sending_child = 0


def _send_at_a_childs_end() -> None:
    """A child that multiprocessing has forked ends without exit handlers, but for those it is told itself."""
    global _sending_child
    process = sys.modules.get("multiprocessing.process")
    if process is None or process.parent_process() is None or _sending_child == os.getpid():
        return
    _sending_child = os.getpid()
    from multiprocessing.util import Finalize  # is here already, as this is its child

    Finalize(None, _send_the_rest, exitpriority=100)
