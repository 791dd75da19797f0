"""What a worker has done with the calls handed to it, as far as what it says of that can be true.

A task runs in the worker's own process, so it can write what it likes into the cell and the pipe. It may harm
itself by that, but neither the agent nor what waits behind it. What cannot be true ends the worker.
"""

from funcledger_endpoint.local.cell import NO_LIMIT, Cell
from funcledger_endpoint.local.frames import BadMessage
from funcledger_endpoint.report import Report
from funcledger_schemas.limits import PAYLOAD_LIMIT

#: Looks in a row at a worker that is past a call it has not reported; its pipe has been read by then.
_LOOKS = 40
#: Nanoseconds after which a call that an idle worker has not begun is believed to have begun all the same.
_MUTE = 5_000_000_000
#: Most bytes a process can have taken.
_MOST_MEMORY = 1 << 50
#: How a call can end, by its worker.
_KINDS = frozenset(
    (
        *("", "Exception", "VersionMismatch", "FunctionNotLoaded", "ArgumentsNotLoaded"),
        *("ResultNotSerializable", "ResultTooLarge"),
    )
)


class Account:
    """Of one process, which begins at ``now`` (monotonic ns, as all times here)."""

    def __init__(self, cell: Cell, now: int) -> None:
        self._cell, self._began = cell, now
        #: The last call handed over.
        self.handed = 0
        #: The last call that it has begun for certain.
        self.known = 0
        self._passed = 0
        self._limit = NO_LIMIT
        #: A call, and when it began, as first seen: the cell may be changed later.
        self._at = (0, 0)
        #: A call that is not what the worker says it is at, since when, and how often that was seen.
        self._odd = (0, 0, 0)

    @property
    def begun(self) -> int:
        """The number of the call begun last.

        Raises:
            BadMessage: it says what cannot be.
        """
        return max(self.known, self._said())

    def _said(self) -> int:
        said = self._cell.begun
        if not self._passed <= said <= self.handed:
            raise BadMessage(f"it says it is at call {said}, of {self._passed} to {self.handed}")
        # A call that it only may have begun may be ahead of what it says.
        self.known = max(self.known, said)
        return said

    def presume(self, number: int) -> None:
        """Take this call as begun, whatever the worker says."""
        self.known = max(self.known, number)

    def runs(self, number: int, now: int) -> bool:
        """Whether its oldest call has begun.

        Raises:
            BadMessage: it says what cannot be.
        """
        said = self._said()
        if said == number:
            self._note(number, self._cell.begun_at, now)
            return True
        odd, since, looks = self._odd if self._odd[0] == number else (number, now, 0)
        self._odd = (odd, since, looks + 1)
        if said > number:
            if looks > _LOOKS:
                raise BadMessage(f"it says it is at call {said}, and has not reported call {number}")
        elif now - since > _MUTE:
            self.presume(number)
            self._note(number, now, now)
        return number <= self.known

    def _note(self, number: int, at: int, now: int) -> None:
        if self._at[0] != number:
            self._at = (number, min(max(at, self._began), now))

    def running(self, number: int, now: int) -> float:
        """Seconds that the call has run, 0 when that is not known."""
        if self._at[0] != number and self._cell.begun == number:
            self._note(number, self._cell.begun_at, now)
        return (now - self._at[1]) / 1e9 if self._at[0] == number else 0.0

    def hold(self) -> int:
        """Let it begin no more; returns the last call that it has begun until now."""
        begun = self.begun
        # Held again while it is held: it may have left out what the first limit forbade.
        self._limit = min(self._limit, begun)
        self._cell.limit = begun
        return begun

    def let_go(self) -> None:
        """Let it begin whatever it was handed."""
        self._cell.limit = self._limit = NO_LIMIT

    def skipped(self, number: int) -> None:
        """It says that it has left this call out.

        Raises:
            BadMessage: it had no cause to.
        """
        if not max(self._passed, self._limit) < number <= self.handed:
            raise BadMessage(f"it left call {number} out, which it was to make")
        self._passed = number

    def reported(self, number: int, report: Report, now: int) -> None:
        """It says what became of this call.

        Raises:
            BadMessage: that cannot have become of it.
        """
        if not self._passed < number <= self.handed:
            raise BadMessage(f"a report on call {number}, which was not its to make")
        lived = (now - self._began) / 1e9
        if not (0 <= report.run_time <= lived and report.cpu_time >= 0 and report.peak_memory < _MOST_MEMORY):
            raise BadMessage(
                f"a call that took {report.run_time} s, {report.cpu_time} s of processors and "
                f"{report.peak_memory} bytes, in a process {lived:.3f} s old"
            )
        if report.kind not in _KINDS or len(report.payload) > PAYLOAD_LIMIT:
            raise BadMessage(f"a call that ended as {report.kind[:40]!r} with {len(report.payload)} bytes")
        self._passed = number
        self.known = max(self.known, number)
