"""The contract of ``EventLog``, run against every adapter."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path

import pytest
from tests.support.clocks import Shifted
from tests.support.deadlines import scaled
from tests.support.logs import ADAPTERS, LOGS, at, collect, new, values

from funcledger_event_log.port import (
    Committed,
    EventLog,
    LogUnavailable,
    RecordTooLarge,
    UnknownPartition,
)
from funcledger_event_log.records import NewRecord, Position, TopicPartition
from funcledger_schemas import clock
from funcledger_schemas.limits import PAYLOAD_LIMIT, RECORD_LIMIT


@pytest.fixture(params=LOGS)
async def log(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[EventLog]:
    async with ADAPTERS[request.param](tmp_path) as opened:
        await opened.create_topic("tasks", 3)
        await opened.create_topic("results", 1)
        yield opened


async def test_offsets_grow_by_one_and_answers_keep_the_order_given(log: EventLog) -> None:
    first = await log.append([new(b"a", 2), new(b"b", 0), new(b"c", 2), new(b"d", 0, "results")])
    second = await log.append([new(b"e", 2), new(b"f", 1)])
    assert first == [("tasks", 2, 0), ("tasks", 0, 0), ("tasks", 2, 1), ("results", 0, 0)]
    assert second == [("tasks", 2, 2), ("tasks", 1, 0)]
    assert await log.ends("tasks") == {0: 1, 1: 1, 2: 3}
    assert await log.starts("tasks") == {0: 0, 1: 0, 2: 0}


@pytest.mark.parametrize("size", [0, 1, 64 * 1024 - 1, 64 * 1024, 64 * 1024 + 1, PAYLOAD_LIMIT])
async def test_bytes_come_out_as_they_went_in(log: EventLog, size: int) -> None:
    """Key, headers (their order, repeats, emptiness) and value, followed as well as read."""
    headers = (("b", b"\x00\xff"), ("a", b""), ("b", b"again"))
    record = NewRecord("tasks", 1, b"\x00key\xff", headers, bytes(range(256)) * (size // 256 + 1))
    record = NewRecord("tasks", 1, record.key, headers, record.value[:size])
    [position] = await log.append([record])
    [followed] = await collect(log, {at(1): 0}, 1)
    [read] = await log.read([position])
    for got in (followed, read):
        assert got is not None
        assert (got.key, got.headers, got.value) == (record.key, headers, record.value)
        assert got.position == position


async def test_a_follower_sees_each_record_once_in_order_while_many_append(log: EventLog) -> None:
    following = asyncio.create_task(collect(log, {at(0): 0, at(1): 0}, 300))
    late = [
        asyncio.create_task(
            log.append([new(b"%d:%d" % (writer, number), writer % 2) for number in range(10)])
        )
        for writer in range(30)
    ]
    positions = [position for task in late for position in await task]
    records = await following
    assert sorted(record.position for record in records) == sorted(positions)
    for partition in (0, 1):
        assert [r.offset for r in records if r.partition == partition] == list(range(150))
    for writer in range(30):
        mine = [value for value in values(records) if value.startswith(b"%d:" % writer)]
        assert mine == [b"%d:%d" % (writer, number) for number in range(10)]


async def test_following_can_begin_anywhere(log: EventLog) -> None:
    await log.append([new(b"%d" % number, number % 2) for number in range(400)])
    for start in (0, 1, 63, 64, 65, 198, 199):
        records = await collect(log, {at(0): start, at(1): 199}, 201 - start)
        assert values(records, 0) == [b"%d" % (2 * number) for number in range(start, 200)]
        assert values(records, 1) == [b"399"]


async def test_a_follower_at_the_end_waits_and_is_woken(log: EventLog) -> None:
    await log.append([new(b"old")])
    async with aclosing(log.follow({at(0): 1})) as batches:
        waiting = asyncio.ensure_future(anext(batches))
        await log.append([new(b"elsewhere", 1)])
        assert not waiting.done()
        await log.append([new(b"here")])
        [record] = await asyncio.wait_for(waiting, scaled(5))
    assert (record.value, record.offset) == (b"here", 1)


async def test_a_batch_is_bounded_in_records_and_bytes(log: EventLog) -> None:
    await log.append([new(b"x" * 1000, number % 2) for number in range(100)])
    await log.append([new(b"y" * 100_000, 2) for _ in range(5)])
    async with aclosing(log.follow({at(0): 0, at(1): 0}, max_records=7)) as batches:
        assert 1 <= len(await anext(batches)) <= 7
    async with aclosing(log.follow({at(0): 0, at(1): 0}, max_bytes=5000)) as batches:
        assert 1 <= len(await anext(batches)) <= 5
    async with aclosing(log.follow({at(2): 0}, max_bytes=1)) as batches:
        # One that is over the bound by itself still gets through.
        assert [len(await anext(batches)) for _ in range(5)] == [1] * 5


async def test_a_busy_partition_does_not_starve_another(log: EventLog) -> None:
    await log.append([new(b"busy") for _ in range(2000)] + [new(b"quiet", 1)])
    async with aclosing(log.follow({at(0): 0, at(1): 0}, max_records=100)) as batches:
        early = await anext(batches) + await anext(batches)
    assert b"quiet" in values(early)


async def test_followers_are_independent(log: EventLog) -> None:
    followers = [asyncio.create_task(collect(log, {at(0): 0}, 50)) for _ in range(10)]
    for number in range(50):
        await log.append([new(b"%d" % number)])
    for records in await asyncio.gather(*followers):
        assert values(records) == [b"%d" % number for number in range(50)]


async def test_a_follower_that_goes_away_disturbs_nobody(log: EventLog) -> None:
    async with aclosing(log.follow({at(0): 0})) as batches:
        waiting = asyncio.ensure_future(anext(batches))
        await asyncio.wait([waiting], timeout=0.01)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
    await log.append([new(b"a")])
    assert values(await collect(log, {at(0): 0}, 1)) == [b"a"]


@pytest.mark.parametrize("topic", ["tasks", "nowhere"])
async def test_an_unknown_partition_is_refused_and_nothing_written(log: EventLog, topic: str) -> None:
    where = TopicPartition(topic, 7)
    with pytest.raises(UnknownPartition):
        await log.append([new(b"good"), new(b"bad", 7, topic)])
    with pytest.raises(UnknownPartition):
        await anext(log.follow({at(0): 0, where: 0}))
    with pytest.raises(UnknownPartition):
        await log.commit("consumer", where, 1)
    assert await log.ends("tasks") == {0: 0, 1: 0, 2: 0}
    assert (await log.ends("nowhere"), await log.starts("nowhere")) == ({}, {})


async def test_a_record_over_the_limit_is_refused_and_nothing_written(log: EventLog) -> None:
    with pytest.raises(RecordTooLarge, match=str(RECORD_LIMIT)):
        await log.append([new(b"good"), new(bytes(RECORD_LIMIT + 1))])
    assert (await log.ends("tasks"))[0] == 0


async def test_appending_nothing_is_nothing(log: EventLog) -> None:
    assert await log.append([]) == []


async def test_read_answers_in_the_order_asked(log: EventLog) -> None:
    """Also for positions asked twice, and None for what is not there."""
    positions = await log.append([new(b"%d" % number, number % 3) for number in range(300)])
    asked = [positions[299], Position("tasks", 0, 100), positions[0], positions[5], positions[0]]
    records = await log.read(asked)
    assert [record and record.value for record in records] == [b"299", None, b"0", b"5", b"0"]
    assert await log.read([Position("tasks", 1, 10**9)]) == [None]


async def test_a_topic_grows_and_never_shrinks(log: EventLog) -> None:
    await log.append([new(b"before", 2)])
    await asyncio.gather(*(log.create_topic("tasks", number) for number in (5, 3, 5)))
    await log.create_topic("tasks", 1)
    assert (await log.partitions("tasks"), await log.partitions("nowhere")) == (5, 0)
    assert await log.append([new(b"after", 4), new(b"after", 2)]) == [("tasks", 4, 0), ("tasks", 2, 1)]


async def test_the_position_kept_last_is_found(log: EventLog) -> None:
    """Per consumer and partition, with its metadata."""
    assert await log.committed("one", at(0)) is None
    await log.commit("one", at(0), 5, "first")
    await log.commit("one", at(0), 7, "é" * 1000)
    await log.commit("one", at(1), 1)
    await log.commit("two", at(0), 3, "other")
    assert await log.committed("one", at(0)) == Committed(7, "é" * 1000)
    assert await log.committed("one", at(1)) == Committed(1, "")
    assert await log.committed("two", at(0)) == Committed(3, "other")
    with pytest.raises(ValueError, match="4096"):
        await log.commit("one", at(0), 8, "é" * 2048)


async def test_timestamps_are_the_time_of_the_append(log: EventLog) -> None:
    before = time.time_ns() // 1_000_000
    [position] = await log.append([new(b"now")])
    [record] = await log.read([position])
    assert record is not None
    assert before <= record.timestamp <= time.time_ns() // 1_000_000


async def test_row_18_the_log_tells_the_time_that_it_stamps_records_with(log: EventLog) -> None:
    """Whatever the clock of whoever asks says; never later than what is appended after it.

    Asking does not get in the way of consumers' positions, which the log on Kafka keeps beside it.
    """
    machine = Shifted(wall=3600)
    await log.commit("one", at(0), 5, "first")
    with clock.running_on(machine):
        for _ in range(3):
            told = await log.time()
            [position] = await log.append([new(b"now")])
            [record] = await log.read([position])
            assert record is not None
            assert 0 <= record.timestamp - told < 5000
            assert await log.committed("one", at(0)) == Committed(5, "first")
            assert await log.committed("time", at(0)) is None
            machine.monotonic += 3600


async def test_closing_finishes_what_was_accepted_and_ends_followers(log: EventLog) -> None:
    assert await log.ready()
    waiting = asyncio.ensure_future(anext(log.follow({at(1): 0})))
    appends = [asyncio.ensure_future(log.append([new(b"x")])) for _ in range(20)]
    await asyncio.wait(appends, return_when=asyncio.FIRST_COMPLETED)
    await log.close()
    answers = await asyncio.gather(*appends)
    assert sorted(offset for [(_, _, offset)] in answers) == list(range(20))
    with pytest.raises(LogUnavailable):
        await asyncio.wait_for(waiting, scaled(5))
    with pytest.raises(LogUnavailable):
        await log.append([new(b"late")])
    assert not await log.ready()
