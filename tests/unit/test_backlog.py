"""The count of what endpoints have to do: from the log alone, across restarts and processes."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest
from tests.support.commands import (
    Moody,
    Side,
    command_side,
    group,
    post_tasks,
    slug_of,
    task_frame,
    with_topics,
)
from tests.support.poll import until
from tests.support.queries import Task

from funcledger_command_api.backlog import Backlog, Kept
from funcledger_command_api.tally import Tally
from funcledger_event_log.checks import METADATA_LIMIT
from funcledger_event_log.memory import MemoryLog
from funcledger_event_log.port import EventLog, LogUnavailable
from funcledger_event_log.records import NewRecord, Record, TopicPartition
from funcledger_schemas import events as e
from funcledger_schemas.ids import new_id

ENDPOINT = "00000000-0000-7000-8000-00000000e001"
OTHER = "00000000-0000-7000-8000-00000000e002"


def heartbeat(busy: int = 0, queued: int = 0) -> e.EndpointHeartbeat:
    return e.EndpointHeartbeat(
        event_id=new_id(), occurred_at=0, actor=f"endpoint:{ENDPOINT}", endpoint_id=ENDPOINT, instance_id="i",
        epoch=0, workers=2, busy=busy, queued=queued, cores=2, memory_total=1, memory_available=1, load=0.0,
    )  # fmt: skip


async def append(log: EventLog, *events: e.Event, partition: int = 1) -> None:
    await log.append([NewRecord.of(event, partition) for event in events])


@asynccontextmanager
async def counting(log: EventLog, **limits: Any) -> AsyncIterator[Backlog]:
    backlog = Backlog(log, **limits)
    await backlog.start()
    try:
        yield backlog
    finally:
        await backlog.stop()


@pytest.fixture
async def log() -> EventLog:
    return await with_topics(MemoryLog())


def records(*events: e.Event) -> list[Record]:
    made = [NewRecord.of(event, 1) for event in events]
    return [Record(r.topic, 1, at, 0, r.key, r.headers, r.value) for at, r in enumerate(made)]


def test_submissions_count_up_and_outcomes_of_every_kind_down() -> None:
    tally, tasks = Tally(), [Task() for _ in range(4)]
    tally.apply(records(*[task.submitted() for task in tasks], tasks[0].begun()))
    whole = tally.of(ENDPOINT)
    assert whole[0] == 4
    assert whole[1] > 4 * 100
    tally.apply(records(tasks[0].completed(), tasks[1].failed(), tasks[2].cancelled()))
    assert tally.of(ENDPOINT)[0] == 1
    assert tally.of(ENDPOINT)[1] == pytest.approx(whole[1] / 4, rel=0.1)
    tally.apply(records(tasks[3].completed()))
    assert tally.of(ENDPOINT) == (0, 0)
    assert tally.of(OTHER) == (0, 0)


def test_an_outcome_may_be_seen_before_its_submission() -> None:
    tally, task = Tally(), Task()
    tally.apply(records(task.completed()))
    assert tally.of(ENDPOINT) == (0, 0)
    tally.apply(records(task.submitted()))
    assert tally.of(ENDPOINT)[0] == 0


def test_two_idle_heartbeats_in_a_row_put_the_count_right() -> None:
    tally, task = Tally(), Task()
    copies = [task.submitted()] * 3
    tally.apply(records(*copies, task.completed(), heartbeat()))
    assert tally.of(ENDPOINT)[0] == 2
    tally.apply(records(Task().submitted(), heartbeat(), heartbeat(busy=1), heartbeat()))
    assert tally.of(ENDPOINT)[0] == 3
    tally.apply(records(heartbeat()))
    assert tally.of(ENDPOINT) == (0, 0)
    tally.apply(records(task.completed(), task.completed()))  # and in the other direction
    tally.apply(records(heartbeat(), heartbeat(), Task().submitted()))
    assert tally.of(ENDPOINT)[0] == 1


def test_a_heartbeat_that_cannot_be_read_is_passed_over() -> None:
    tally = Tally()
    tally.apply(records(Task().submitted(), heartbeat(), heartbeat()))
    tally.apply(records(Task().submitted()))
    broken = records(heartbeat())[0]
    broken.value = b"\0nonsense"
    tally.apply([broken, broken])
    assert tally.of(ENDPOINT)[0] == 1


def test_a_snapshot_keeps_the_largest_and_fits_beside_a_position() -> None:
    tally = Tally()
    for number in range(300):
        task = Task(endpoint_id=f"00000000-0000-7000-8000-{number:012d}")
        tally.apply(records(*[task.submitted()] * (number % 7 + 1)))
    (rows,) = tally.snapshot().values()
    assert 40 < len(rows) < 100
    assert {tasks for _, tasks, _ in rows} == {7, 6}
    again = Tally()
    again.restore(1, rows)
    assert again.snapshot() == {1: rows}
    assert len(msgspec.json.encode(Kept(2**62, rows))) < METADATA_LIMIT


async def test_the_count_goes_on_after_a_restart_from_its_commit_and_never_from_the_beginning(
    log: MemoryLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    await append(log, *[Task().submitted() for _ in range(5)])
    async with counting(log) as backlog:
        await until(lambda: backlog.of(ENDPOINT)[0] == 5)
        before = backlog.of(ENDPOINT)
    task = Task()
    await append(log, task.submitted(), task.completed(), Task().submitted())
    read: list[Record] = []
    apply = Tally.apply

    def noting(tally: Tally, batch: list[Record]) -> None:
        read.extend(batch)
        apply(tally, batch)

    monkeypatch.setattr(Tally, "apply", noting)
    async with counting(log) as backlog:
        await until(lambda: backlog.of(ENDPOINT)[0] == 6)
        assert backlog.of(ENDPOINT)[1] == pytest.approx(before[1] * 6 / 5, rel=0.2)
    assert len(read) == 3


async def test_after_a_kill_it_counts_again_what_came_after_the_last_commit(log: MemoryLog) -> None:
    killed = Backlog(log, commit=0.02)
    await killed.start()
    await append(log, *[Task().submitted() for _ in range(3)])
    where = TopicPartition("tasks", 1)

    async def committed() -> bool:
        kept = await log.committed("backlog", where)
        return kept is not None and kept.offset == 3

    await until(committed)
    assert killed._running is not None
    killed._running.cancel()
    await append(log, *[Task().submitted() for _ in range(4)])
    async with counting(log) as backlog:
        await until(lambda: backlog.of(ENDPOINT)[0] == 7)
    assert killed._tail is not None
    await killed._tail.stop()


async def test_a_commit_that_cannot_be_read_means_counting_from_the_beginning(log: MemoryLog) -> None:
    await append(log, *[Task().submitted() for _ in range(3)])
    await log.commit("backlog", TopicPartition("tasks", 1), 2, "{}")
    async with counting(log) as backlog:
        await until(lambda: backlog.of(ENDPOINT)[0] == 3)


def frame(endpoint: str, function: str, count: int, size: int = 10) -> bytes:
    payloads = [bytes(size)] * count
    return task_frame([group(endpoint, function, payloads)], payloads)


async def test_from_the_limit_on_submissions_are_429_until_tasks_end() -> None:
    log = await with_topics(MemoryLog())
    async with counting(log, tasks=10) as backlog, command_side(log, backlog) as side:
        endpoint, function, other = await side.endpoint(), await side.register(), await side.endpoint("other")
        taken = frame(endpoint, function, 8)
        assert (await post_tasks(side, taken)).status_code == 202
        # A request is taken whole though it passes the limit: it could never be taken otherwise.
        assert (await post_tasks(side, frame(endpoint, function, 4))).status_code == 202
        refused = await post_tasks(side, frame(endpoint, function, 1))
        assert (refused.status_code, slug_of(refused)) == (429, "backlog-full")
        assert refused.headers["Retry-After"] == "1"
        problem = refused.json()
        assert (problem["endpoint_id"], problem["backlog"], problem["limit"]) == (endpoint, 12, 10)
        assert "12 unfinished tasks, the limit is 10" in problem["detail"]
        # What was taken before is answered as before, and another endpoint has room.
        assert (await post_tasks(side, taken)).status_code == 202
        assert (await post_tasks(side, frame(other, function, 1))).status_code == 202
        assert len(await side.records("tasks")) == 13
        await finish(side, endpoint, 3)
        await until(lambda: backlog.of(endpoint)[0] == 9)
        assert (await post_tasks(side, frame(endpoint, function, 1))).status_code == 202


async def finish(side: Side, endpoint: str, count: int) -> None:
    done = [Task(endpoint_id=endpoint).completed() for _ in range(count)]
    await append(side.log, *done, partition=side.catalogue.endpoints[endpoint].partition)


async def test_bytes_have_a_limit_of_their_own() -> None:
    log = await with_topics(MemoryLog())
    async with counting(log, size=100_000) as backlog, command_side(log, backlog) as side:
        endpoint, function = await side.endpoint(), await side.register()
        assert (await post_tasks(side, frame(endpoint, function, 2, 60_000))).status_code == 202
        refused = await post_tasks(side, frame(endpoint, function, 1))
        assert refused.status_code == 429
        assert "bytes of tasks, the limit is 100,000" in refused.json()["detail"]


async def test_requests_at_the_same_time_cannot_all_pass_below_the_limit() -> None:
    """What is on its way to the log counts already; and what did not get there does not."""
    log = Moody()
    await with_topics(log)
    async with counting(log, tasks=10) as backlog, command_side(log, backlog) as side:
        endpoint, function = await side.endpoint(), await side.register()
        posts = [post_tasks(side, frame(endpoint, function, 4)) for _ in range(8)]
        answers = [answer.status_code for answer in await asyncio.gather(*posts)]
        assert sorted(answers) == [202] * 3 + [429] * 5
        await until(lambda: backlog.of(endpoint)[0] == 12 and not backlog._landed)
        await finish(side, endpoint, 12)
        await until(lambda: backlog.of(endpoint)[0] == 0)
        log.mood = LogUnavailable("away")
        assert (await post_tasks(side, frame(endpoint, function, 10))).status_code == 503
        assert backlog.of(endpoint) == (0, 0)


async def test_what_another_process_takes_counts_too(log: MemoryLog) -> None:
    async with (
        counting(log, tasks=5) as one,
        counting(log, tasks=5) as two,
        command_side(log, one) as side,
        command_side(log, two) as beside,
    ):
        endpoint, function = await side.endpoint(), await side.register()
        assert (await post_tasks(side, frame(endpoint, function, 5))).status_code == 202
        await until(lambda: two.of(endpoint)[0] == 5)
        await beside.tail.catch_up(2.0)
        assert (await post_tasks(beside, frame(endpoint, function, 1))).status_code == 429


async def test_a_count_that_has_failed_refuses_nothing(
    log: MemoryLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with counting(log, tasks=3) as backlog, command_side(log, backlog) as side:
        endpoint, function = await side.endpoint(), await side.register()
        assert (await post_tasks(side, frame(endpoint, function, 2))).status_code == 202
        monkeypatch.setattr(backlog._tail, "_apply", lambda _: 1 / 0)
        assert (await post_tasks(side, frame(endpoint, function, 2))).status_code == 202
        await until(lambda: backlog._tail is not None and backlog._tail.failed is not None)
        for _ in range(3):
            assert (await post_tasks(side, frame(endpoint, function, 2))).status_code == 202
