"""An engine without processes: makes every call at once, or when told to."""

import asyncio
from collections import deque
from collections.abc import Sequence

from funcledger_endpoint.engine import Listener, Loss
from funcledger_endpoint.report import Report
from funcledger_endpoint.task import Task


class FakeEngine:
    """``offered`` lists every task taken; with ``by_hand`` calls end only through :meth:`finish`."""

    name = "fake"

    def __init__(self, workers: int = 1, *, by_hand: bool = False) -> None:
        self.workers = workers
        self.offered: list[Task] = []
        self.by_hand = by_hand
        self._running: deque[Task] = deque()
        self._waiting: list[tuple[Task, bool]] = []
        #: What runs, but has not told so yet.
        self._untold: list[Task] = []
        self._listener: Listener

    @property
    def busy(self) -> int:
        return len(self._running) + len(self._waiting)

    def start(self, listener: Listener) -> None:
        self._listener = listener

    def offer(self, task: Task, function: bytes, *, careful: bool = False) -> bool:
        if self.busy >= self.workers:
            return False
        self.offered.append(task)
        self._waiting.append((task, careful))
        return True

    def flush(self) -> None:
        for task, careful in self._waiting:
            asyncio.get_running_loop().call_soon(self._begin, task, careful)
        self._running.extend(task for task, _ in self._waiting)
        self._untold.extend(task for task, _ in self._waiting)
        self._waiting.clear()

    def _begin(self, task: Task, careful: bool) -> None:
        self._tell(task)
        if not careful and not self.by_hand:
            self.finish()

    def _tell(self, task: Task) -> None:
        if task in self._untold:
            self._untold.remove(task)
            if not task.announced:
                self._listener.begun(task, "fake-0")

    def finish(self) -> None:
        """The oldest running call returns."""
        task = self._running.popleft()
        self._tell(task)  # a test may be quicker than the loop
        self._listener.finished(task, Report(payload_format="pickle", payload=b"N."))
        self._listener.room()

    def release(self, task: Task) -> None:
        if not self.by_hand:
            self.finish()

    def cancel(self, task: Task) -> None:
        self._running.remove(task)
        self._listener.lost(task, Loss("Cancelled", ""))

    def recall(self) -> None:
        """Everything taken has begun."""

    async def stop(self) -> None:
        running: Sequence[Task] = tuple(self._running)
        self._running.clear()
        for task in running:
            self._listener.lost(task, Loss("TaskLost", "stopped"))
