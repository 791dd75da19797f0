"""The log's time as far as an agent knows it: append times seen, carried on by a monotonic clock."""

from funcledger_schemas import clock


class LogClock:
    """Never ahead of the log's own clock, whatever this machine's wall clock says (FAULTS 18)."""

    def __init__(self) -> None:
        self._ahead: float | None = None
        self._newest: int | None = None

    def follow(self, timestamp: int) -> None:
        """A partition's next record has this append time (ms); an earlier one means a clock set back."""
        if self._newest is not None and timestamp < self._newest:
            self._ahead = None
        self._newest = timestamp
        self.note(timestamp)

    def note(self, timestamp: int) -> None:
        """A record with this append time (ms) has been seen now."""
        ahead = timestamp - clock.current().monotonic_ns() / 1e6
        if self._ahead is None or ahead > self._ahead:
            self._ahead = ahead

    def now(self) -> int:
        """The append time (ms) that a record appended now would have at least; 0 while none was seen."""
        return 0 if self._ahead is None else int(self._ahead + clock.current().monotonic_ns() / 1e6)
