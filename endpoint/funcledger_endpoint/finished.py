"""The tasks that ended last, so that a late copy of a submission is known for what it is (law 3)."""

from collections import deque

from funcledger_endpoint.task import Key


class Finished:
    """Remembers the last so many keys."""

    def __init__(self, most: int = 100_000) -> None:
        self._order: deque[Key] = deque()
        self._keys: set[Key] = set()
        self._most = most

    def __contains__(self, key: Key) -> bool:
        return key in self._keys

    def add(self, key: Key) -> None:
        """The task has ended."""
        if key not in self._keys:
            self._keys.add(key)
            self._order.append(key)
            if len(self._order) > self._most:
                self._keys.discard(self._order.popleft())
