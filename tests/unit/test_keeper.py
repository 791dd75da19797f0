"""The keeper ends what no agent will end, says it the same way each time, and leaves live endpoints alone."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from unittest.mock import patch

import pytest
from tests.support.clocks import Shifted
from tests.support.commands import with_topics
from tests.support.endpoints import TestEndpoint
from tests.support.poll import until

from funcledger_event_log.memory import MemoryLog
from funcledger_event_log.port import LogUnavailable
from funcledger_event_log.records import NewRecord, Position
from funcledger_gateway.endings import ending
from funcledger_gateway.keeper import INTERVAL, LONGEST, Keeper
from funcledger_read_models.documents import ENDPOINT_HEALTH, TASK_STATUS, EndpointHealth, TaskStatus
from funcledger_read_models.liveness import OFFLINE_AFTER
from funcledger_read_models.memory import MemoryStore
from funcledger_schemas import clock
from funcledger_schemas.events import Event, TaskCancelled, TaskFailed

NOW = 1_800_000_000_000
ALIVE, DEAD = "alive", "dead"


class TimedLog(MemoryLog):
    """A log whose clock stands still but for what it is moved by."""

    now = NOW

    async def time(self) -> int:
        return self.now


class FlakyLog(TimedLog):
    """A log that refuses so many appends."""

    refuse = 2

    async def append(self, records: Sequence[NewRecord]) -> list[Position]:
        self.refuse -= 1
        if self.refuse >= 0:
            raise LogUnavailable("away")
        return await super().append(records)


@dataclass
class Kept:
    """A keeper over documents as the projectors would have saved them."""

    log: TimedLog
    store: MemoryStore = field(default_factory=MemoryStore)

    def keeper(self, **options: Any) -> Keeper:
        return Keeper(self.log, self.store, **options)

    async def endpoint(self, endpoint_id: str, **fields: Any) -> None:
        document = EndpointHealth(endpoint_id=endpoint_id, **{"partition": 1, **fields})
        await self.store.save({ENDPOINT_HEALTH: {(endpoint_id,): document}}, {}, {})

    async def task(self, endpoint_id: str, **fields: Any) -> TaskStatus:
        document = TaskStatus(
            owner="ada", endpoint_id=endpoint_id, batch_id="b", submitted_at=NOW - 60_000,
            **{"task_id": f"of {endpoint_id}", "deadline": NOW, "attention_at": NOW, **fields},
        )  # fmt: skip
        await self.store.save({TASK_STATUS: {TASK_STATUS.key_of(document): document}}, {}, {})
        return document

    async def said(self) -> list[Event]:
        end = (await self.log.ends("results"))[1]
        records = await self.log.read([Position("results", 1, offset) for offset in range(end)])
        return [record.event() for record in records if record]


@pytest.fixture
async def kept() -> Kept:
    kept = Kept(TimedLog())
    await with_topics(kept.log)
    await kept.endpoint(ALIVE, epochs=[0], started_at=NOW - 60_000, heartbeat_at=NOW - 1, heartbeat_epoch=0)
    await kept.endpoint(DEAD, epochs=[0], started_at=NOW - 60_000, heartbeat_at=NOW - OFFLINE_AFTER - 1)
    return kept


async def test_a_task_past_its_deadline_expires_where_no_agent_lives(kept: Kept) -> None:
    task = await kept.task(DEAD, attempts=2)
    await kept.task(ALIVE)
    assert await kept.keeper().round() == 1
    (event,) = await kept.said()
    assert isinstance(event, TaskFailed)
    assert (event.kind, event.actor, event.epoch, event.attempt) == ("Expired", "keeper", None, 2)
    assert (event.endpoint_id, event.owner, event.task_id, event.batch_id) == (
        task.endpoint_id, task.owner, task.task_id, task.batch_id,
    )  # fmt: skip
    assert "60 s" in event.message


async def test_a_task_is_cancelled_on_request_where_no_agent_lives(kept: Kept) -> None:
    await kept.task(DEAD, cancel_requested_at=NOW - 5)
    await kept.task(ALIVE, cancel_requested_at=NOW - 5)
    assert await kept.keeper().round() == 1
    (event,) = await kept.said()
    assert isinstance(event, TaskCancelled)
    assert (event.endpoint_id, event.actor, event.epoch) == (DEAD, "keeper", None)


@pytest.mark.parametrize(
    "health",
    [
        {},
        {"epochs": [4], "started_at": NOW, "stopped_epoch": 4},
        {"epochs": [4], "started_at": NOW, "deleted": True},
        {"epochs": [4], "started_at": NOW - 60_000, "heartbeat_at": NOW, "heartbeat_epoch": 3},
    ],
    ids=["never started", "stopped", "deleted", "only a fenced agent's heartbeat"],
)
async def test_no_agent_lives_behind_an_endpoint_that(kept: Kept, health: dict[str, Any]) -> None:
    await kept.endpoint(DEAD, **health)
    await kept.task(DEAD)
    assert await kept.keeper().round() == 1


@pytest.mark.parametrize(
    "health",
    [
        {"epochs": [4], "started_at": NOW - OFFLINE_AFTER},
        {"epochs": [2, 4], "started_at": NOW - 1, "stopped_epoch": 2},
    ],
    ids=["has just started", "started again after a stop"],
)
async def test_an_agent_lives_behind_an_endpoint_that(kept: Kept, health: dict[str, Any]) -> None:
    await kept.endpoint(ALIVE, **health)
    await kept.task(ALIVE)
    assert await kept.keeper().round() == 0


async def test_a_task_is_ended_once_while_its_outcome_is_on_its_way(kept: Kept) -> None:
    await kept.task(DEAD)
    keeper = kept.keeper()
    assert [await keeper.round(), await keeper.round(), await kept.keeper().round()] == [1, 0, 0]


async def test_law_3_a_duplicate_changes_nothing(kept: Kept) -> None:
    """Whoever ends a task again, after a crash, appends a copy: the event id follows from task and reason."""
    task = await kept.task(DEAD)
    asked = await kept.task(DEAD, cancel_requested_at=NOW)
    assert ending(task).event_id == ending(task).event_id != ending(asked).event_id


async def test_a_slow_projector_does_not_make_live_endpoints_look_dead(kept: Kept) -> None:
    """A heartbeat that the read models have not passed yet counts for life."""
    await kept.task(DEAD)
    await kept.log.append([NewRecord.of(TestEndpoint().heartbeat(0), 1)])
    keeper = kept.keeper()
    assert await keeper.round() == 0
    kept.log.now += OFFLINE_AFTER  # the projector has caught up, but with what was so long ago
    await kept.store.save({}, {("heartbeats", 1): 1}, {})
    assert await keeper.round() == 0
    assert await keeper.round() == 1


async def test_a_running_task_is_left_alone_until_its_agent_has_had_time_to_be_heard(kept: Kept) -> None:
    """While the gateway was down no agent could say that it lives."""
    await kept.task(DEAD, running=True)
    keeper = kept.keeper()
    assert await keeper.round() == 0
    kept.log.now += OFFLINE_AFTER + 1
    assert await keeper.round() == 1


async def test_tasks_of_live_endpoints_do_not_hide_those_behind_them(
    kept: Kept, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("funcledger_gateway.keeper._PAGE", 2)
    for number in range(7):
        await kept.task(ALIVE, task_id=str(number), attention_at=NOW - 100 + number)
    await kept.task(DEAD)
    keeper = kept.keeper()
    assert [await keeper.round() for _ in range(3)] == [0, 0, 1]


@pytest.mark.parametrize("ahead", [3600, -3600])
async def test_row_18_tasks_expire_by_the_logs_time_whatever_the_gateways_clock_says(
    kept: Kept, ahead: float
) -> None:
    await kept.task(DEAD, deadline=NOW + 1000, attention_at=NOW + 1000)
    away = kept.log.now - round(clock.millis() / 1000) * 1000  # so the wall clock is the log's, and off
    with clock.running_on(Shifted(wall=away / 1000 + ahead)):
        keeper = kept.keeper()
        assert await keeper.round() == 0
        kept.log.now += 999
        assert await keeper.round() == 0
        kept.log.now += 1
        assert await keeper.round() == 1


async def test_row_18_nothing_is_ended_while_the_log_does_not_tell_the_time(kept: Kept) -> None:
    await kept.task(DEAD)
    keeper = kept.keeper()
    with patch.object(kept.log, "time", side_effect=LogUnavailable("away")), pytest.raises(LogUnavailable):
        await keeper.round()
    assert await kept.said() == []
    assert await keeper.round() == 1


async def test_row_18_a_log_set_back_does_not_make_live_endpoints_look_dead(kept: Kept) -> None:
    """Ends of the log that were taken by a clock an hour ahead say nothing of who is alive now."""
    await kept.task(ALIVE)
    await kept.log.append([NewRecord.of(TestEndpoint().heartbeat(0), 1)])
    keeper = kept.keeper()
    kept.log.now += 3_600_000
    assert await keeper.round() == 0
    kept.log.now -= 3_600_000
    await kept.store.save({}, {("heartbeats", 1): 1}, {})
    assert [await keeper.round() for _ in range(2)] == [0, 0]


async def test_a_keeper_whose_database_has_to_search_is_no_load_to_it() -> None:
    """It is at its rounds for a part of its time, however long one takes, and still comes round."""
    took, pauses = [0.001, 0.2, 60.0], list[float]()

    class Moved(Shifted):
        async def sleep(self, seconds: float) -> None:
            pauses.append(seconds)
            await asyncio.sleep(0)

    class Searching(Keeper):
        async def round(self) -> int:
            if not took:
                await asyncio.Event().wait()
            moved.monotonic += took.pop(0)
            return 0

    moved = Moved()
    with clock.running_on(moved):
        keeper = Searching(TimedLog(), MemoryStore())
        await keeper.start()
        try:
            await until(lambda: len(pauses) == 3)
        finally:
            await keeper.stop()
    assert pauses == [INTERVAL, pytest.approx(4.0, rel=0.1), LONGEST]


async def test_it_goes_on_by_itself_after_the_log_was_away() -> None:
    log = FlakyLog()
    await with_topics(log)
    kept = Kept(log)
    await kept.endpoint(DEAD)
    await kept.task(DEAD)
    keeper = kept.keeper(interval=0.001)
    await keeper.start()
    try:
        await until(kept.said)
    finally:
        await keeper.stop()
    assert log.refuse < 0
