"""The submissions this process took lately, so that a retry is the same submission and a clash is told.

Bounded: what has fallen out of it, or went through another process, is still safe, because every fold
and agent ignores a second submission with the same key, and reports another digest as a conflict.
"""

import asyncio
from collections.abc import Iterable
from typing import NamedTuple

from funcledger_event_log.records import Token

#: A task's key: endpoint, owner, task id.
Key = tuple[str, str, str]
#: Submissions remembered at least, each about 400 bytes; at most twice as many and what one request holds.
KEPT = 8192


class Known(NamedTuple):
    """A submission taken: what was asked for, and the token it is, or will be, answered with."""

    digest: str
    answer: "asyncio.Future[Token]"


class Clash(Exception):
    """Raised when a task id was used before for something else; nothing was taken."""

    def __init__(self, key: Key) -> None:
        super().__init__(key)
        self.key = key


class Recent:
    """Two generations: when the young one is full it becomes the old one, and the old one is dropped."""

    def __init__(self, kept: int = KEPT) -> None:
        self._kept = kept
        self._young: dict[Key, Known] = {}
        self._old: dict[Key, Known] = {}

    def known(self, keys: Iterable[Key], digests: Iterable[str]) -> dict[Key, Known]:
        """Those of these submissions that were taken before.

        Raises:
            Clash: one of them was taken before with another digest.
        """
        found: dict[Key, Known] = {}
        young, old = self._young, self._old
        for key, digest in zip(keys, digests, strict=True):
            before = young.get(key) or old.get(key)
            if before is None:
                continue
            if before.digest != digest:
                raise Clash(key)
            found[key] = before
        return found

    def take(self, keys: Iterable[Key], digests: Iterable[str], answer: "asyncio.Future[Token]") -> None:
        """Remember these as taken."""
        for key, digest in zip(keys, digests, strict=True):
            self._young[key] = Known(digest, answer)
        if len(self._young) > self._kept:
            self._old, self._young = self._young, {}

    def forget(self, keys: Iterable[Key], answer: "asyncio.Future[Token]") -> None:
        """Forget those taken under ``answer``: they did not reach the log for certain."""
        for key in keys:
            for generation in (self._young, self._old):
                if key in generation and generation[key].answer is answer:
                    del generation[key]
