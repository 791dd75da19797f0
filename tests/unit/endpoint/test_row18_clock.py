"""FAULTS 18: deadlines go by append times and a monotonic clock, never by the wall clock."""

from tests.support.clocks import Shifted

from funcledger_endpoint.clock import LogClock
from funcledger_schemas import clock


class Still(Shifted):
    """Stands still but for what it is moved by."""

    def monotonic_ns(self) -> int:
        return round(self.monotonic * 1e9)


def test_fault_18_the_logs_time_goes_on_from_the_newest_append_time_whatever_the_wall_clock_says() -> None:
    machine = Still(monotonic=100.0)
    with clock.running_on(machine):
        log = LogClock()
        assert log.now() == 0
        log.note(1_000_000)
        machine.monotonic += 2.5
        machine.wall += 3600
        assert log.now() == 1_002_500
        log.note(500_000)
        assert log.now() == 1_002_500
        log.note(1_010_000)
        assert log.now() == 1_010_000
