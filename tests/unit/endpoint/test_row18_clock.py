"""FAULTS 18: deadlines go by append times and a monotonic clock, never by the wall clock."""

import time

import pytest

from funcledger_endpoint.clock import LogClock


def test_fault_18_the_logs_time_goes_on_from_the_newest_append_time_whatever_the_wall_clock_says(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monotonic = 100.0
    monkeypatch.setattr(time, "monotonic", lambda: monotonic)
    monkeypatch.setattr(time, "time", lambda: 9e9)
    clock = LogClock()
    assert clock.now() == 0
    clock.note(1_000_000)
    monotonic += 2.5
    assert clock.now() == 1_002_500
    clock.note(500_000)
    assert clock.now() == 1_002_500
    clock.note(1_010_000)
    assert clock.now() == 1_010_000
