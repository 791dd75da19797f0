"""The port Clock: what is in force where, and that retries sleep and roll dice by it."""

import asyncio
import uuid

import pytest
from tests.support.clocks import Shifted

from funcledger_event_log.patience import retrying
from funcledger_schemas import clock
from funcledger_schemas.ids import new_id


class Scripted(Shifted):
    """Wakes at once, and remembers how long was slept; every random bit is set."""

    def __init__(self) -> None:
        super().__init__()
        self.slept: list[float] = []

    def random_bytes(self, size: int) -> bytes:
        return b"\xff" * size

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)


async def test_a_clock_is_in_force_within_and_in_tasks_begun_within() -> None:
    async def later() -> int:
        await clock.sleep(0)
        return clock.millis()

    with clock.running_on(Shifted(wall=-3600)):
        begun = asyncio.create_task(later())
        assert clock.micros() // 1000 == pytest.approx(clock.millis(), abs=1000)
    behind = await begun
    assert clock.millis() - behind == pytest.approx(3_600_000, abs=5000)


def test_an_id_is_made_of_the_time_and_the_random_bits_of_the_clock() -> None:
    with clock.running_on(Scripted()):
        made = uuid.UUID(new_id())
        assert made.int >> 80 == pytest.approx(clock.millis(), abs=1000)
    assert made.version == 7
    assert made.hex[13:16] == "fff"
    assert made.hex[17:] == "f" * 15


async def test_pauses_double_up_to_the_most_and_are_random_below_that() -> None:
    fails = iter([ConnectionError] * 7)

    async def work() -> str:
        for error in fails:
            raise error
        return "done"

    with clock.running_on(scripted := Scripted()):
        assert await retrying(ConnectionError, first=0.1, most=1.0)(work) == "done"
        assert clock.uniform(2, 3) == pytest.approx(3)
    assert scripted.slept == pytest.approx([0.1, 0.2, 0.4, 0.8, 1.0, 1.0, 1.0])


async def test_other_errors_are_not_tried_again() -> None:
    async def work() -> None:
        raise KeyError("no")

    with pytest.raises(KeyError):
        await retrying(ConnectionError, first=0.1, most=1.0)(work)
