"""Trying again while the log cannot be reached, or takes nothing."""

import logging
from collections.abc import Awaitable, Callable
from typing import TypeVar

import tenacity

from funcledger_event_log import patience
from funcledger_event_log.port import LogUnavailable, OutcomeUnknown

_log = logging.getLogger(__name__)
T = TypeVar("T")


class Complaint:
    """Says why something does not go on, once for each reason, and then that it does."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._said: str | None = None

    def failed(self, error: BaseException | None) -> None:
        """It failed once more."""
        if (reason := str(error)) != self._said:
            _log.warning("%s: %s; trying again until it succeeds", self._what, reason)
            self._said = reason

    def succeeded(self) -> None:
        """It did not fail."""
        if self._said is not None:
            _log.info("%s: it goes on", self._what)
            self._said = None


def retrying(what: str, complaint: Complaint | None = None) -> patience.Retrying:
    """Tries without end, with growing, jittered pauses up to 5 s; ``what`` is said when it does."""
    told = complaint or Complaint(what)

    def say(state: tenacity.RetryCallState) -> None:
        told.failed(state.outcome.exception() if state.outcome else None)

    return patience.retrying(LogUnavailable, OutcomeUnknown, first=0.1, most=5.0, say=say)


async def patiently(what: str, call: Callable[[], Awaitable[T]]) -> T:
    """What the call returns, as soon as the log takes it.

    Raises:
        Exception: whatever is not a matter of waiting.
    """

    async def attempt() -> T:
        # tenacity awaits the result of coroutine functions alone, and a call may be a lambda that makes one.
        return await call()

    complaint = Complaint(what)
    try:
        return await call()
    except (LogUnavailable, OutcomeUnknown) as error:
        complaint.failed(error)
    result: T = await retrying(what, complaint)(attempt)
    complaint.succeeded()
    return result
