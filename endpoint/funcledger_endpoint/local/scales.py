"""Weighs a worker with all that its tasks have started against its limits, as often as that costs little."""

import time
from typing import Protocol

from funcledger_endpoint.local.family import Weight
from funcledger_endpoint.local.limits import RESERVE, Limits, memory_asked, memory_in_force, too_many
from funcledger_schemas.sizes import show_size

#: Between two weighings there is at least so many times what one takes.
_SHARE = 20


class Weighable(Protocol):
    """What can be put on the scales."""

    def weigh(self, memory: int, processes: int | None) -> Weight:
        """As :func:`funcledger_endpoint.local.family.weigh` does."""


class Scales:
    """Of one worker. Processes are counted more often than memory is added up: shares take a while.

    Whoever has hundreds of processes may be about to have thousands, and must not win time by being heavy.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        #: When each may be done again, in seconds of the monotonic clock.
        self._count_at = self._add_up_at = 0.0

    def over(self, process: Weighable, resource_specification: str | None) -> str | None:
        """What to say of a worker that is over a limit, None for one that is not, or not looked at now."""
        begun = time.monotonic()
        memory, whose = memory_in_force(self._limits, memory_asked(resource_specification))
        if begun < self._count_at or not (memory or self._limits.processes):
            return None
        due = memory if begun >= self._add_up_at else 0
        found = process.weigh(due, self._limits.processes)
        self._note(bool(due), begun)
        if self._limits.processes is not None and found.processes > self._limits.processes:
            return too_many(found.processes, self._limits.processes)
        if due and found.memory > due + RESERVE:
            return f"the call and what it had started took {show_size(found.memory)} of memory; {whose}"
        return None

    def _note(self, added_up: bool, begun: float) -> None:
        again = time.monotonic() + _SHARE * (time.monotonic() - begun)
        if added_up:
            self._add_up_at = again
        else:
            self._count_at = again
