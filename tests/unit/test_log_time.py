"""FAULTS 18: the time of a log that is elsewhere, asked for seldom, carried on by a monotonic clock."""

import asyncio
from collections.abc import Iterator

import pytest
from tests.support.clocks import Shifted

from funcledger_event_log.log_time import GOOD_FOR, LogTime
from funcledger_event_log.port import LogUnavailable
from funcledger_schemas import clock


class Still(Shifted):
    """Stands still but for what it is moved by."""

    def monotonic_ns(self) -> int:
        return round(self.monotonic * 1e9)


class Elsewhere:
    """A log that is asked, and takes a while to answer."""

    def __init__(self, machine: Still) -> None:
        self._machine = machine
        self.asked = 0
        self.time = 1_000_000
        self.takes = 0.0
        self.away = False

    async def ask(self) -> int:
        self.asked += 1
        await asyncio.sleep(0)
        self._machine.monotonic += self.takes
        if self.away:
            raise LogUnavailable("away")
        return self.time


@pytest.fixture
def machine() -> Iterator[Still]:
    with clock.running_on(machine := Still(monotonic=50.0)):
        yield machine


@pytest.fixture
def log(machine: Still) -> Elsewhere:
    return Elsewhere(machine)


async def test_row_18_it_goes_on_from_what_was_heard_whatever_the_wall_clock_says(
    machine: Still, log: Elsewhere
) -> None:
    known = LogTime(log.ask)
    assert known.last() is None
    assert await known.now() == 1_000_000
    machine.wall += 3600
    machine.monotonic += 2.5
    assert (await known.now(), known.last(), log.asked) == (1_002_500, 1_002_500, 1)


async def test_row_18_a_slow_answer_is_never_ahead_of_the_log(machine: Still, log: Elsewhere) -> None:
    log.takes = 4.0
    assert await LogTime(log.ask).now() == 1_000_000


async def test_row_18_a_log_whose_clock_is_set_back_is_believed_within_a_minute(
    machine: Still, log: Elsewhere
) -> None:
    known = LogTime(log.ask)
    await known.now()
    log.time = 500_000
    machine.monotonic += GOOD_FOR - 1
    assert await known.now() == 1_059_000
    machine.monotonic += 1
    assert await known.now() == 500_000


async def test_row_18_what_is_old_is_not_told_when_the_log_does_not_answer(
    machine: Still, log: Elsewhere
) -> None:
    """But whoever would rather have an old answer than none may ask for the last."""
    known = LogTime(log.ask)
    await known.now()
    machine.monotonic += GOOD_FOR
    log.away = True
    with pytest.raises(LogUnavailable):
        await known.now()
    assert known.last() == 1_060_000


async def test_many_at_once_ask_the_log_once(machine: Still, log: Elsewhere) -> None:
    known = LogTime(log.ask)
    assert await asyncio.gather(*(known.now() for _ in range(10))) == [1_000_000] * 10
    assert log.asked == 1
