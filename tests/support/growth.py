"""How work grows: processor time and memory at n and at 4 n, on whatever machine the test runs."""

import gc
import time
import tracemalloc
from collections.abc import Awaitable, Callable
from typing import NamedTuple

#: What is linear costs 4 times as much at 4 n, what is quadratic 16 times. Between them lies room for a
#: machine that does other things meanwhile.
MOST = 8.0
#: Seconds, and bytes, below which a figure says nothing.
_NOISE_SECONDS, _NOISE_BYTES = 0.03, 1 << 20


class Cost(NamedTuple):
    """What one run took: processor seconds, and bytes at its peak above those before it."""

    seconds: float
    bytes: int


async def cost(work: Callable[[], Awaitable[object]], *, rounds: int = 2) -> Cost:
    """The least time of some rounds, and the peak of memory in one more, which is slower."""
    seconds = []
    for _ in range(rounds):
        gc.collect()
        began = time.process_time()
        await work()
        seconds.append(time.process_time() - began)
    gc.collect()
    tracemalloc.start()
    try:
        await work()
        _now, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    return Cost(min(seconds), peak)


def check_linear(small: Cost, large: Cost, most: float = MOST) -> None:
    """Fail where 4 times as much to do took more than so many times as much time or memory."""
    assert large.seconds <= most * max(small.seconds, _NOISE_SECONDS), (small, large)
    assert large.bytes <= most * max(small.bytes, _NOISE_BYTES), (small, large)
