"""Tells people, in the log, what a program has been waiting for: after a while, and then now and again."""

import logging
import time

_log = logging.getLogger("funcledger")

#: Seconds of waiting before the first word about it, and between words after that.
FIRST_WORD, NEXT_WORD = 5.0, 60.0


class WaitingNotice:
    """What one request or stream waits for, while it is tried again and again."""

    def __init__(self) -> None:
        self._since: float | None = None
        self._next_word = 0.0

    def failed(self, error: Exception) -> None:
        """Another attempt failed; the error's sentence says which limit, or what is away."""
        now = time.monotonic()
        if self._since is None:
            self._since, self._next_word = now, now + FIRST_WORD
        elif now >= self._next_word:
            self._next_word = now + NEXT_WORD
            _log.warning("waiting for %.0f s, and trying again: %s", now - self._since, error)

    def succeeded(self) -> None:
        """What was waited for has come."""
        self._since = None
