"""How far the agent has got: what it commits so that the next one reads neither too little nor too much."""

from bisect import bisect_left
from collections import deque
from collections.abc import Sequence
from typing import NamedTuple

import msgspec

#: Results that the next agent reads again at least, so that it knows a late copy of a finished submission.
OVERLAP = 20_000


class Mark(msgspec.Struct, frozen=True):
    """The metadata of a commit: where to read results from, and the epoch in force just before that."""

    results: int
    epoch: int


class Commit(NamedTuple):
    """A position in ``tasks`` and what goes with it."""

    offset: int
    metadata: str


class Progress:
    """Knows the lowest unfinished submission L, and results R such that every outcome from L on is behind R.

    ``mark`` is what this agent itself started to read results from, ``epochs`` are those it has seen, rising.
    Submissions before ``tasks_end`` may be those of an agent before this one, begun anywhere behind ``mark``.
    """

    def __init__(
        self, tasks: int, tasks_end: int, mark: Mark, epochs: Sequence[int], results_end: int
    ) -> None:
        self._next = tasks
        self._tasks_end = tasks_end
        self._first = mark
        self._epochs = list(epochs)
        #: The end of results as far as it is known for certain.
        self.results_end = results_end
        self._unfinished: dict[int, None] = {}
        #: Tasks' offsets, and the end of results known when they were first read.
        self._read: deque[tuple[int, int]] = deque([(tasks, mark.results)])

    @property
    def caught_up(self) -> bool:
        """Whether every task was read that may be known from an agent before this one."""
        return self._next >= self._tasks_end

    def read(self, first: int, end: int) -> None:
        """Tasks from ``first`` up to ``end`` have been read."""
        if first >= self._tasks_end and self._read[-1][1] < self.results_end:
            self._read.append((first, self.results_end))
        self._next = end

    def opened(self, offset: int) -> None:
        """This submission is unfinished."""
        self._unfinished[offset] = None

    def finished(self, offset: int) -> None:
        """Its outcome is durable."""
        self._unfinished.pop(offset, None)

    def commit(self) -> Commit:
        """What to commit now."""
        lowest = next(iter(self._unfinished), self._next)
        while len(self._read) > 1 and self._read[1][0] <= lowest:
            self._read.popleft()
        results = max(self._first.results, min(self._read[0][1], self.results_end - OVERLAP))
        before = bisect_left(self._epochs, results)
        epoch = self._epochs[before - 1] if before else self._first.epoch
        return Commit(lowest, msgspec.json.encode(Mark(results, epoch)).decode())
