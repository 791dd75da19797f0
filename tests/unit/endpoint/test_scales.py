"""Workers are held to limits on processes and memory; counting is not kept from its turn by adding up."""

import time

import pytest

from funcledger_endpoint.local.family import Weight
from funcledger_endpoint.local.limits import Limits
from funcledger_endpoint.local.scales import Scales

MB = 1000**2


class Heavy:
    """Takes as much, and as long to add up; notes what it was asked."""

    def __init__(self, processes: int = 1, memory: int = 0, seconds: float = 0.0) -> None:
        self.processes, self.memory, self.seconds = processes, memory, seconds
        self.asked: list[tuple[int, int | None]] = []

    def weigh(self, memory: int, processes: int | None) -> Weight:
        self.asked.append((memory, processes))
        if memory:
            time.sleep(self.seconds)
        return Weight(self.processes, self.memory)


def test_what_is_within_its_limits_is_left_alone() -> None:
    assert Scales(Limits(memory=300 * MB, processes=4)).over(Heavy(4, 360 * MB), None) is None


def test_without_limits_nothing_is_weighed() -> None:
    heavy = Heavy(10**6, 10**15)
    assert Scales(Limits(processes=None)).over(heavy, None) is None
    assert heavy.asked == []


@pytest.mark.parametrize(
    ("limits", "asked", "sentence"),
    [
        (Limits(memory=300 * MB), None, "took 500 MB of memory; this endpoint's limit is 300 MB"),
        (Limits(), '{"memory_limit": 200000000}', "took 500 MB of memory; the task's limit is 200 MB"),
        (Limits(processes=4), None, "were 5 processes and threads; this endpoint's limit is 4"),
    ],
)
def test_over_a_limit_is_told_with_both_numbers(limits: Limits, asked: str | None, sentence: str) -> None:
    said = Scales(limits).over(Heavy(5, 500 * MB), asked)
    assert said is not None
    assert sentence in said


def test_processes_are_counted_while_it_is_too_early_to_add_up_memory_again() -> None:
    """Else a bomb that is heavy would have twenty times as long to grow as adding it up took."""
    scales = Scales(Limits(memory=300 * MB, processes=100))
    heavy = Heavy(90, 360 * MB, seconds=0.5)
    assert scales.over(heavy, None) is None
    heavy.processes, heavy.memory = 110, 10**12
    said = scales.over(heavy, None)
    assert said is not None
    assert "110 processes" in said
    assert heavy.asked == [(300 * MB, 100), (0, 100)]


def test_memory_that_was_not_added_up_is_not_judged() -> None:
    """Then it counts what processes share once for each of them."""
    scales = Scales(Limits(memory=300 * MB, processes=100))
    heavy = Heavy(90, 360 * MB, seconds=0.5)
    assert scales.over(heavy, None) is None
    heavy.memory = 10**12
    assert scales.over(heavy, None) is None
