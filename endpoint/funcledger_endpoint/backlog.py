"""Tasks that wait for a worker: owners in turn, each owner's in log order, and few payloads in memory."""

from collections import deque
from collections.abc import Iterable

from funcledger_endpoint.task import Task


class _Queue:
    """One owner's: ``ready`` have their payload, ``light``, which all come later, need not have."""

    __slots__ = ("light", "owner", "parked", "ready", "size", "turning")

    def __init__(self, owner: str) -> None:
        self.owner = owner
        self.ready: deque[Task] = deque()
        self.light: deque[Task] = deque()
        self.size = 0
        self.parked = False
        self.turning = False


class Backlog:
    """Holds at most about ``most`` submissions and ``most_bytes`` of their payloads; each owner has a share.

    Tasks closed while they wait are dropped when their turn comes.
    """

    def __init__(self, most: int = 10_000, most_bytes: int = 8 << 20) -> None:
        self._most, self._most_bytes = most, most_bytes
        self._queues: dict[str, _Queue] = {}
        #: Queues that may have a ready task, the next to be served first.
        self._turns: deque[_Queue] = deque()
        self._light = 0

    def add(self, task: Task) -> None:
        """The task stands at the end of its owner's queue."""
        queue = self._queues.get(task.owner)
        if queue is None:
            queue = self._queues[task.owner] = _Queue(task.owner)
        if queue.light or task.submission is None or self._full(queue):
            # Its payload is let go of, and read again when its turn nears.
            task.submission = None
            queue.light.append(task)
            self._light += 1
        else:
            self._make_ready(queue, task)

    def _full(self, queue: _Queue, part: float = 1.0) -> bool:
        part /= len(self._queues)
        return len(queue.ready) >= self._most * part or queue.size >= self._most_bytes * part

    def _make_ready(self, queue: _Queue, task: Task) -> None:
        queue.ready.append(task)
        queue.size += task.size
        self._turn(queue)

    def _turn(self, queue: _Queue) -> None:
        if not queue.turning and not queue.parked:
            queue.turning = True
            self._turns.append(queue)

    def give_back(self, tasks: Iterable[Task]) -> None:
        """Tasks that were taken go back to where they stood."""
        for task in tasks:
            queue = self._queues.get(task.owner)
            if queue is None:
                queue = self._queues[task.owner] = _Queue(task.owner)
            before = []
            while queue.ready and queue.ready[0].offset < task.offset:
                before.append(queue.ready.popleft())
            queue.ready.appendleft(task)
            queue.ready.extendleft(reversed(before))
            queue.size += task.size
            self._turn(queue)

    def head(self) -> Task | None:
        """The task whose turn it is, None when none is ready; it stays until :meth:`pop` or :meth:`park`."""
        while self._turns:
            queue = self._turns[0]
            while queue.ready and queue.ready[0].closed:
                queue.size -= queue.ready.popleft().size
            if queue.ready:
                return queue.ready[0]
            self._turns.popleft()
            queue.turning = False
            if not queue.light:
                del self._queues[queue.owner]
        return None

    def pop(self) -> None:
        """The head has been taken; the next owner is served."""
        queue = self._turns[0]
        queue.size -= queue.ready.popleft().size
        self._turns.rotate(-1)

    def park(self) -> None:
        """The head's owner has to wait, for a function to arrive; the others go on."""
        queue = self._turns.popleft()
        queue.turning, queue.parked = False, True

    def unpark(self, owner: str) -> None:
        """The owner need not wait any more."""
        queue = self._queues.get(owner)
        if queue is not None and queue.parked:
            queue.parked = False
            self._turn(queue)

    def lean(self, most: int = 1000, most_bytes: int = 4 << 20) -> list[Task]:
        """Light tasks whose turn nears, to be fetched and given to :meth:`load`; closed ones are dropped."""
        lean: list[Task] = []
        size = 0
        if not self._light:
            return lean
        for queue in sorted(self._queues.values(), key=lambda queue: len(queue.ready)):
            if self._full(queue, 0.5):
                continue
            for task in queue.light:
                if len(lean) >= most or (lean and size + task.size > most_bytes):
                    return lean
                lean.append(task)
                size += task.size
        return lean

    def load(self, owners: Iterable[str]) -> None:
        """Light tasks of these owners that have their payloads now are ready."""
        for owner in owners:
            queue = self._queues.get(owner)
            while queue and queue.light and (queue.light[0].submission or queue.light[0].closed):
                task = queue.light.popleft()
                self._light -= 1
                if not task.closed:
                    self._make_ready(queue, task)
            if queue and not queue.ready and not queue.light and not queue.parked:
                # So that an owner with nothing left is forgotten at the next turn.
                self._turn(queue)

    @property
    def held(self) -> tuple[int, int]:
        """Submissions held with their payloads, and the bytes of these."""
        queues = self._queues.values()
        return sum(len(queue.ready) for queue in queues), sum(queue.size for queue in queues)
