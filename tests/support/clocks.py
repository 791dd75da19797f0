"""Clocks for tests: to be put in force with ``clock.running_on``, or in processes of their own."""

import asyncio
import os
import time
from dataclasses import dataclass
from pathlib import Path

_SKEW = Path(__file__).parent / "skew"


@dataclass
class Shifted:
    """The machine's clock, with wall and monotonic time set by so many seconds; may be moved at any time."""

    wall: float = 0.0
    monotonic: float = 0.0

    def time_ns(self) -> int:
        return time.time_ns() + round(self.wall * 1e9)

    def monotonic_ns(self) -> int:
        return time.monotonic_ns() + round(self.monotonic * 1e9)

    def random_bytes(self, size: int) -> bytes:
        return os.urandom(size)

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


def clock_ahead(seconds: float) -> dict[str, str]:
    """The environment of a process whose wall clock is so far ahead."""
    # Said within PYTHONPATH, since workers get that and no variable that is not listed.
    found = [str(_SKEW), f"ahead={seconds}", *filter(None, [os.environ.get("PYTHONPATH")])]
    return {"PYTHONPATH": os.pathsep.join(found)}
