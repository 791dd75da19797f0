"""Tells people, in the log, what a program has been waiting for: after a while, and then now and again."""

import logging
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from funcledger.errors import ComputeError

if TYPE_CHECKING:
    from funcledger.endpoints import Endpoints

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


def tell_if_offline(endpoints: "Endpoints", waiting: Mapping[str, int]) -> None:
    """Say which of these endpoints (id: calls that wait for it) are offline, and what to do."""
    for endpoint_id, calls in waiting.items():
        try:
            found = endpoints.get(endpoint_id)
        except ComputeError as error:  # what it would have said is a courtesy
            _log.info("it is not known why nothing comes of endpoint %s: %s", endpoint_id, error)
            continue
        if found.get("status") == "offline":
            _log.warning("%s", _offline(found, calls))


def _offline(endpoint: Mapping[str, Any], calls: int) -> str:
    seen, name = endpoint.get("last_seen"), endpoint["name"]
    when = "has never been seen" if seen is None else f"was last seen {time.time() - seen / 1000:.0f} s ago"
    waiting = f"{calls} calls wait" if calls != 1 else "1 call waits"
    return (
        f"endpoint {name} is offline and {when}: {waiting} until its agent is started, on its machine with "
        f"`funcledger endpoint start {name}`"
    )
