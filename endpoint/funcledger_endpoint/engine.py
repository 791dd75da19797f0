"""The port ``Engine``: tasks in, what becomes of their calls out."""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from funcledger_endpoint.report import Report
from funcledger_endpoint.task import Task


class Loss(NamedTuple):
    """Why a call that had begun ended without an outcome of its own.

    ``kind`` is "WorkerDied" or "TaskLost" (tried again while there are attempts left),
    "WalltimeExceeded", "LimitExceeded" or "Cancelled" (final).
    """

    kind: str
    message: str
    run_time: float | None = None
    peak_memory: int | None = None


class Listener(Protocol):
    """What an engine tells, always from the event loop, never from within :meth:`Engine.offer`.

    Of one task: ``begun`` once per call, before anything else is told of that call; then one of
    ``finished`` and ``lost``. ``returned`` gives back a task whose call has not been made, to be
    offered again.
    """

    def begun(self, task: Task, worker: str) -> None:
        """A worker has begun the call, or for a ``careful`` task is about to."""
        ...

    def finished(self, task: Task, report: Report) -> None:
        """The call returned or raised."""
        ...

    def lost(self, task: Task, loss: Loss) -> None:
        """The call had begun and will not come to an end of its own."""
        ...

    def returned(self, tasks: Sequence[Task]) -> None:
        """These have not begun and will not; oldest first."""
        ...

    def room(self) -> None:
        """There may be room for more; told after whatever made it."""
        ...


class Engine(Protocol):
    """Runs calls somewhere.

    Laws: a task is begun at most once per offer; of tasks lost with their worker only the one begun
    is ``lost``, the others are ``returned`` (law 6); tasks offered are begun in the order offered,
    short ones within a few milliseconds of it.
    """

    @property
    def name(self) -> str:
        """What EndpointStarted calls it."""
        ...

    @property
    def workers(self) -> int:
        """How many calls can run at once."""
        ...

    @property
    def busy(self) -> int:
        """How many run now."""
        ...

    def start(self, listener: Listener) -> None:
        """Bring the workers up; they need not be ready when this returns."""
        ...

    def offer(self, task: Task, function: bytes, *, careful: bool = False) -> bool:
        """Take the task if there is room for it now; ``function`` is the body of its function.

        A ``careful`` one is told as begun, and its call made only after :meth:`release`.
        """
        ...

    def flush(self) -> None:
        """Hand over what has been offered."""
        ...

    def release(self, task: Task) -> None:
        """The TaskStarted of this careful task is durable: make the call."""
        ...

    def cancel(self, task: Task) -> None:
        """Take the task back if it has not begun, else end its call: ``returned`` or ``lost`` follows."""
        ...

    def recall(self) -> None:
        """Give back every task that has not begun."""
        ...

    async def stop(self) -> None:
        """End everything: what runs is ``lost`` as "TaskLost". Returns when no process is left."""
        ...
