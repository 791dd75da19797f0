"""What an executor has to say to the server: one background thread that sends whatever has gathered."""

import time
from collections import deque
from collections.abc import Callable, Sequence
from queue import Empty, SimpleQueue
from threading import Event, Thread
from typing import TYPE_CHECKING, NamedTuple

from funcledger.errors import ComputeError, RequestError, ServiceUnavailable
from funcledger.functions import Functions
from funcledger.futures import TaskFuture
from funcledger.listener import ended
from funcledger.local_functions import LocalFunction
from funcledger.submission import MOST_BYTES, NewTask, grouped, send

if TYPE_CHECKING:
    from funcledger.transport import Transport


class Submission(NamedTuple):
    """A call to be sent."""

    task: NewTask
    future: TaskFuture
    function: LocalFunction | None = None


class Cancellation(NamedTuple):
    """A request to cancel a call that has been sent."""

    future: TaskFuture


#: An event is set when everything said before it has been sent.
Word = Submission | Cancellation | Event


class Sender:
    """Sends calls and cancellations; while one request is under way the next gathers."""

    def __init__(
        self,
        transport: "Transport",
        batch_id: str,
        failed: Callable[[TaskFuture, Exception | None], None],
        most_tasks: int,
        give_up: Callable[[ComputeError], None],
    ) -> None:
        self._transport = transport
        self._functions = Functions(transport)
        self._batch_id = batch_id
        self._failed = failed
        self._most_tasks = most_tasks
        self._give_up = give_up
        self._queue: SimpleQueue[Word | None] = SimpleQueue()
        self.say = self._queue.put
        #: Words that came during a pause, to be seen to after it; and the tasks of the request that pauses.
        self._held: deque[Word | None] = deque()
        self._under_way: frozenset[str] = frozenset()
        self._stopping = False
        self._thread = Thread(target=self._run, name=f"funcledger-sender-{batch_id}", daemon=True)
        self._thread.start()

    def flush(self, timeout: float) -> bool:
        """Wait until everything said so far has been sent; False when that takes longer."""
        if self._stopping:
            self._thread.join(timeout)
            return not self._thread.is_alive()
        sent = Event()
        self.say(sent)
        return sent.wait(timeout)

    def stop(self) -> None:
        """End after what has been said so far."""
        self._stopping = True
        self._queue.put(None)

    def _run(self) -> None:
        try:
            self._serve()
        except BaseException as error:  # whatever ends this thread, those who wait must learn of it
            self._stopping = True
            self._give_up(ended("The thread that sends calls", error))

    def _serve(self) -> None:
        going = True
        while going:
            words, going = self._gather()
            submissions = [word for word in words if isinstance(word, Submission) and self._claim(word)]
            if submissions:
                self._submit(submissions)
            cancels = [
                word.future for word in words if isinstance(word, Cancellation) and not word.future.done()
            ]
            if cancels:
                self._cancel(cancels)
            for mark in words:
                if isinstance(mark, Event):
                    mark.set()

    def _gather(self) -> tuple[list[Word], bool]:
        """Wait for a word and take those behind it, as many as fit a request; and whether to go on."""
        word = self._held.popleft() if self._held else self._queue.get()
        words: list[Word] = []
        size = 0
        while word is not None:
            words.append(word)
            size += len(word.task.payload) if isinstance(word, Submission) else 0
            # One more may be as long as the limit of a payload, and still fits.
            if len(words) >= self._most_tasks or size > MOST_BYTES // 2:
                return words, True
            try:
                word = self._held.popleft() if self._held else self._queue.get_nowait()
            except Empty:
                return words, True
        return words, False

    def _rest(self, seconds: float) -> None:
        """A pause that the server asked for; what is asked to be cancelled meanwhile may make the room.

        All else waits, also who asks to cancel a task that is only now being sent.
        """
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            cancels = []
            for word in self._said_within(left):
                if isinstance(word, Cancellation) and word.future.task_id not in self._under_way:
                    cancels.append(word.future)
                else:
                    self._held.append(word)
            if cancels:
                self._cancel(cancels)

    def _said_within(self, seconds: float) -> list[Word | None]:
        """What is said by the time that anything is, at most so many seconds from now."""
        said: list[Word | None] = []
        try:
            said.append(self._queue.get(timeout=seconds))
            while True:
                said.append(self._queue.get_nowait())
        except Empty:
            return said

    def _claim(self, submission: Submission) -> bool:
        """Whether the call is to be sent: from here on it can only be asked to be cancelled."""
        if submission.future.claim():
            return True
        self._failed(submission.future, None)
        return False

    def _submit(self, submissions: Sequence[Submission]) -> None:
        ready = [one for one in submissions if self._register(one)]
        try:
            if ready:
                tasks = [one.task for one in ready]
                self._under_way = frozenset(task.task_id for task in tasks)
                send(self._transport, self._batch_id, tasks, sleep=self._rest)
        except ServiceUnavailable as error:
            self._fail(ready, error)
        except RequestError as error:
            self._submit_apart(ready, error)
        except Exception as error:  # whatever it is, those who wait for these futures must learn of it
            self._fail(ready, error)

    def _submit_apart(self, refused: Sequence[Submission], error: RequestError) -> None:
        """Nothing of a refused request was accepted: send each group by itself, so only its own fail."""
        by_id = {one.task.task_id: one for one in refused}
        groups = grouped([one.task for one in refused])
        if len(groups) == 1:
            self._fail(refused, error)
            return
        for group in groups:
            self._submit([by_id[task.task_id] for task in group])

    def _register(self, submission: Submission) -> bool:
        function = submission.function
        if function is None or function.payload is None:
            return True
        try:
            self._functions.register(function.payload, function.function_id, description=function.description)
        except Exception as error:  # as above
            self._fail([submission], error)
            return False
        function.payload = None
        return True

    def _cancel(self, futures: Sequence[TaskFuture]) -> None:
        ask_to_cancel(self._transport, self._batch_id, futures)

    def _fail(self, submissions: Sequence[Submission], error: Exception) -> None:
        for submission in submissions:
            self._failed(submission.future, error)


def ask_to_cancel(transport: "Transport", batch_id: str, futures: Sequence[TaskFuture]) -> None:
    """Ask for these tasks to be cancelled."""
    tasks = [
        {"task_id": future.task_id, "endpoint_id": future.endpoint_id, "batch_id": batch_id}
        for future in futures
    ]
    try:
        transport.request("POST", "/v1/tasks/cancel", json={"tasks": tasks})
    except ComputeError:
        return  # a request to cancel promises nothing: the futures end as their tasks do
