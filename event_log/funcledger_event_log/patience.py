"""Trying again after pauses that grow and are random, so that many who wait do not come back at once."""

from collections.abc import Callable
from typing import Any

from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type

from funcledger_schemas import clock


def retrying(
    *errors: type[Exception], first: float, most: float, say: Callable[[RetryCallState], Any] | None = None
) -> AsyncRetrying:
    """Tries again without end after these errors; ``say`` is called before each pause.

    Before the n-th further attempt it sleeps up to ``first`` * 2 ** (n - 1) seconds, never over ``most``
    ("full jitter", see Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015).
    """

    def pause(state: RetryCallState) -> float:
        doublings = min(state.attempt_number - 1, 32)
        return clock.uniform(0, min(most, first * 2**doublings))

    return AsyncRetrying(
        retry=retry_if_exception_type(errors), wait=pause, sleep=clock.sleep, before_sleep=say
    )
