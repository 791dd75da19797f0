"""Waiting for something to become true, with a deadline: what tests use in place of a bare sleep."""

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable
from typing import Any

from tests.support.deadlines import scaled


async def until(predicate: Callable[[], Any | Awaitable[Any]], timeout: float = 5.0) -> Any:
    """The first true value of ``predicate`` (plain or async), asked every few milliseconds.

    ``timeout`` is scaled: see :mod:`tests.support.deadlines`.

    Raises:
        AssertionError: it was not true within ``timeout`` seconds of a quick machine.
    """
    deadline = time.monotonic() + (seconds := scaled(timeout))
    while True:
        value = predicate()
        if inspect.isawaitable(value):
            value = await value
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"not true in {seconds:.1f} s: {inspect.getsource(predicate).strip()}")
        await asyncio.sleep(0.005)


def until_sync(predicate: Callable[[], Any], timeout: float = 5.0) -> Any:
    """As :func:`until`, for tests without an event loop."""
    deadline = time.monotonic() + (seconds := scaled(timeout))
    while True:
        if value := predicate():
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"not true in {seconds:.1f} s: {inspect.getsource(predicate).strip()}")
        time.sleep(0.005)
