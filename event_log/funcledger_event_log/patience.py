"""Trying again after pauses that grow and are random, so that many who wait do not come back at once."""

from collections.abc import Callable
from typing import Any

from tenacity import AsyncRetrying as Retrying
from tenacity import RetryCallState, retry_if_exception_type

from funcledger_schemas import clock

__all__ = ["Retrying", "retrying"]


def retrying(
    *errors: type[Exception], first: float, most: float, say: Callable[[RetryCallState], Any] | None = None
) -> Retrying:
    """Tries again without end after these errors; ``say`` is called before each pause.

    Before the n-th further attempt it sleeps up to ``first`` * 2 ** (n - 1) seconds, never over ``most``
    ("full jitter", see Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015).
    """

    def pause(state: RetryCallState) -> float:
        doublings = min(state.attempt_number - 1, 32)
        return clock.uniform(0, min(most, first * 2**doublings))

    return Retrying(retry=retry_if_exception_type(errors), wait=pause, sleep=clock.sleep, before_sleep=say)
