"""Answers say how old they are once the read models do not keep up, and nothing as long as they do."""

from collections.abc import AsyncIterator
from unittest.mock import AsyncMock, patch

import pytest
from tests.support.queries import PARTITION, Side, Task, ask, query_side

from funcledger_event_log.port import LogUnavailable
from funcledger_query_api import freshness
from funcledger_query_api.freshness import Freshness
from funcledger_schemas import clock


class Hands:
    """A clock that moves when it is told to."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def time_ns(self) -> int:
        return int(self.now * 1e9)

    def monotonic_ns(self) -> int:
        return int((self.now - 900) * 1e9)

    def random_bytes(self, size: int, /) -> bytes:
        return bytes(size)

    async def sleep(self, seconds: float, /) -> None:
        raise AssertionError("nobody sleeps here")


@pytest.fixture
async def side() -> AsyncIterator[Side]:
    async with query_side() as made:
        yield made


async def test_as_of_is_a_time_up_to_which_all_is_known(side: Side) -> None:
    hands = Hands()
    with clock.running_on(hands):
        fresh = Freshness(side.log, side.side.progress)
        await fresh.look()
        assert (fresh.as_of, fresh.stale) == (1_000_000, False)
        hands.now += 2
        await side.append(Task().submitted())
        await fresh.look()
        hands.now += 2
        await side.append(Task().submitted())
        await side.project()
        await fresh.look()
        assert (fresh.as_of, fresh.warning()) == (1_004_000, {})
        hands.now += 2
        await side.append(Task().submitted())
        await fresh.look()
        assert (fresh.as_of, fresh.warning()) == (1_004_000, {}), "up to which, not since when"


async def test_read_models_that_are_always_some_seconds_behind_keep_up(side: Side) -> None:
    """Under load they are, and nobody is helped by being told so."""
    hands, behind = Hands(), 3
    with clock.running_on(hands):
        fresh = Freshness(side.log, side.side.progress)
        for _ in range(30):
            hands.now += 1
            await side.append(Task().submitted())
            await side.project(tasks=(await side.log.ends("tasks"))[PARTITION] - behind)
            await fresh.look()
            assert fresh.warning() == {}
        assert fresh.as_of == (hands.now - behind) * 1000


async def test_read_models_that_fall_behind_for_long_are_stale_until_they_have_caught_up(side: Side) -> None:
    hands = Hands()
    with clock.running_on(hands):
        fresh = Freshness(side.log, side.side.progress)
        await fresh.look()
        for _ in range(3):
            hands.now += freshness.STALE_AFTER / 2
            await side.append(Task().submitted())
            await fresh.look()
        assert fresh.warning() == {"as_of": 1_000_000, "stale": True}
        await side.project()
        await fresh.look()
        await fresh.look()
        assert (fresh.warning(), fresh.as_of) == ({}, 1_007_500)


async def test_a_quiet_log_never_makes_answers_old(side: Side) -> None:
    hands = Hands()
    with clock.running_on(hands):
        fresh = Freshness(side.log, side.side.progress)
        for _ in range(5):
            hands.now += 3600
            await fresh.look()
            assert fresh.warning() == {}


@pytest.mark.parametrize("ahead", [3600, -3600])
async def test_row_18_answers_go_by_the_logs_time_whatever_this_machines_clock_says(
    side: Side, ahead: int
) -> None:
    """By what it told last, while it does not tell; by this machine's where it never did."""
    hands = Hands()
    told = 1_800_000_000_000 + ahead * 1000
    asked = AsyncMock(return_value=told)
    with clock.running_on(hands), patch.object(side.log, "time", asked):
        fresh = Freshness(side.log, side.side.progress)
        assert fresh.now() == 1_000_000
        await fresh.look()
        assert (fresh.now(), fresh.as_of) == (told, told)
        hands.now += 90
        asked.side_effect = LogUnavailable("away")
        await fresh.look()
        assert (fresh.now(), fresh.as_of) == (told + 90_000, told + 90_000)


async def test_every_answer_from_the_read_models_says_that_it_is_stale(
    side: Side, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = Task()
    await side.append(task.submitted())
    await side.project()
    of_task = f"/v1/tasks/{task.task_id}"
    paths = ["/v1/tasks", of_task, f"{of_task}/history", f"/v1/batches/{task.batch_id}"]
    paths += ["/v1/functions", "/v1/endpoints", "/v1/endpoints/lab"]
    for path in paths:
        assert "stale" not in (await side.client.get(path)).json()
    monkeypatch.setattr(Freshness, "stale", True)
    for path in paths:
        answer = (await side.client.get(path)).json()
        assert answer["stale"] is True, path
        assert "as_of" in answer
    head, tasks = await ask(side.client, [task.task_id])
    assert head["stale"] is True
    assert task.task_id in tasks
