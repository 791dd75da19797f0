"""What followers of the log on Kafka get beyond the port: they share, and being slow costs nothing."""

import asyncio
import dataclasses
import functools
import threading
from contextlib import aclosing
from pathlib import Path

import pytest
from confluent_kafka import TopicPartition as KafkaPartition
from tests.support.deadlines import scaled
from tests.support.logs import ADAPTERS, at, collect, new, values
from tests.support.poll import until

from funcledger_event_log.follower import Tail
from funcledger_event_log.kafka import KafkaLog
from funcledger_event_log.kafka import log as log_module
from funcledger_event_log.kafka.shared import SharedEnd
from funcledger_event_log.records import NewRecord, TopicPartition

pytestmark = pytest.mark.distributed


async def test_a_hundred_followers_cost_no_more_threads_than_one(tmp_path: Path) -> None:
    async with ADAPTERS["kafka"](tmp_path) as log:
        await log.create_topic("tasks", 3)
        await log.append([new(b"old", number) for number in range(3)])
        await collect(log, {at(0): 0}, 1)
        threads = threading.active_count()
        followers = [asyncio.create_task(collect(log, {at(n % 3): 0}, 2)) for n in range(100)]
        await log.append([new(b"new", number) for number in range(3)])
        for records in await asyncio.gather(*followers):
            assert values(records) == [b"old", b"new"]
        # One consumer for the end, and a few for whoever is behind it, used in turn.
        assert threading.active_count() <= threads + 8


async def test_a_follower_that_falls_out_of_memory_misses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_module, "SharedEnd", functools.partial(SharedEnd, tail_bytes=50_000))
    async with ADAPTERS["kafka"](tmp_path) as log:
        await log.create_topic("tasks", 1)
        slow, quick = (
            log.follow({at(0): 0}, max_records=10),
            asyncio.create_task(collect(log, {at(0): 0}, 500)),
        )
        async with aclosing(slow):
            waiting = asyncio.ensure_future(anext(slow))
            for number in range(50):
                await log.append([new(b"%d" % (10 * number + one)) for one in range(10)])
            records = await waiting
            while len(records) < 500:
                records += await anext(slow)
        expected = [b"%d" % number for number in range(500)]
        assert values(records) == expected
        assert values(await quick) == expected


async def test_followers_that_let_records_of_tasks_gather_get_them_all_in_fewer_batches(
    tmp_path: Path,
) -> None:
    async with ADAPTERS["kafka"](tmp_path) as log:
        assert isinstance(log, KafkaLog)
        await log.create_topic("tasks", 1)
        patient = KafkaLog(dataclasses.replace(log.settings, gather=0.5))
        following = [asyncio.create_task(_batches(each, at(0), 40)) for each in (log, patient)]
        await _append_slowly(log, at(0), 40)
        at_once, gathered = await asyncio.gather(*following)
        await patient.close()
        for found in (at_once, gathered):
            assert [value for batch in found for value in batch] == [b"%d" % number for number in range(40)]
        assert len(gathered) < len(at_once) / 2


async def test_who_registers_a_function_need_not_wait_for_records_that_gather(tmp_path: Path) -> None:
    async with ADAPTERS["kafka"](tmp_path) as log:
        assert isinstance(log, KafkaLog)
        await log.create_topic("functions", 1)
        await log.create_topic("tasks", 1)
        patient = KafkaLog(dataclasses.replace(log.settings, gather=100))
        tasks = asyncio.create_task(_batches(patient, at(0), 1))
        functions = TopicPartition("functions", 0)
        following = asyncio.create_task(_batches(patient, functions, 3))
        async with asyncio.timeout(scaled(20)):
            await _append_slowly(log, functions, 3)
            await following
        tasks.cancel()
        await asyncio.gather(tasks, return_exceptions=True)
        await patient.close()


async def test_where_the_client_library_stops_to_fetch_followers_miss_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As it may for ever when it asks a broker that has only just restarted (librdkafka issue 5301)."""
    monkeypatch.setattr(log_module, "SharedEnd", functools.partial(SharedEnd, look=0.3))
    async with ADAPTERS["kafka"](tmp_path) as log:
        assert isinstance(log, KafkaLog)
        await log.create_topic("tasks", 2)
        seen: list[bytes] = []
        tail = Tail(log, ["tasks"], lambda records: seen.extend(values(records)), name="test")
        await tail.start()
        await log.append([new(b"before"), new(b"before", 1)])
        await until(lambda: len(seen) == 2)
        (shared,) = log._shared.values()
        shared._consumer.pause([KafkaPartition(log.settings.topic("tasks"), 0)])
        await log.append([new(b"after"), new(b"after", 1)])
        await until(lambda: len(seen) == 4, timeout=20)
        assert seen.count(b"after") == 2
        await tail.stop()


async def _append_slowly(log: KafkaLog, where: TopicPartition, count: int) -> None:
    for number in range(count):
        record = new(b"%d" % number, where.partition)
        await log.append([NewRecord(where.topic, where.partition, record.key, record.head, record.value)])
        await asyncio.sleep(0.02)


async def _batches(log: KafkaLog, where: TopicPartition, count: int) -> list[list[bytes]]:
    """The values of so many records, as they come."""
    found: list[list[bytes]] = []
    async with aclosing(log.follow({where: 0})) as batches:
        while sum(map(len, found)) < count:
            found.append(values(await anext(batches)))
    return found
