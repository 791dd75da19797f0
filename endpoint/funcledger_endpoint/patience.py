"""Trying again while the log cannot be reached."""

import logging
from collections.abc import Awaitable, Callable
from typing import TypeVar

import tenacity

from funcledger_event_log import patience
from funcledger_event_log.port import LogUnavailable, OutcomeUnknown

_log = logging.getLogger(__name__)
T = TypeVar("T")


def retrying(what: str) -> patience.Retrying:
    """Tries without end, with growing, jittered pauses up to 5 s; ``what`` is said when it does."""

    def say(state: tenacity.RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome else None
        _log.warning("%s: %s; trying again (attempt %d)", what, error, state.attempt_number)

    return patience.retrying(LogUnavailable, OutcomeUnknown, first=0.1, most=5.0, say=say)


async def patiently(what: str, call: Callable[[], Awaitable[T]]) -> T:
    """What the call returns, as soon as the log takes it.

    Raises:
        Exception: whatever is not a matter of waiting.
    """

    async def attempt() -> T:
        # tenacity awaits the result of coroutine functions alone, and a call may be a lambda that makes one.
        return await call()

    try:
        return await call()
    except (LogUnavailable, OutcomeUnknown) as error:
        _log.warning("%s: %s; trying again", what, error)
    return await retrying(what)(attempt)
