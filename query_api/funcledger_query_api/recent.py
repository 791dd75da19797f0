"""Remembers which keys were added lately, in bounded memory."""

from funcledger_read_models.documents import Key


class RecentKeys:
    """Keys in two generations: at least the last ``capacity`` added are there, at most twice as many."""

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._young: set[Key] = set()
        self._old: set[Key] = set()

    def __contains__(self, key: Key) -> bool:
        return key in self._young or key in self._old

    def add(self, key: Key) -> bool:
        """Remember a key; True when a generation was forgotten to make room."""
        self._young.add(key)
        if len(self._young) < self._capacity:
            return False
        self._old, self._young = self._young, set()
        return True
