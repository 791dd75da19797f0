"""What followers of the log on Kafka get beyond the port: they share, and being slow costs nothing."""

import asyncio
import dataclasses
import functools
import threading
from contextlib import aclosing
from pathlib import Path

import pytest
from tests.support.logs import ADAPTERS, at, collect, new, values

from funcledger_event_log.kafka import KafkaLog
from funcledger_event_log.kafka import log as log_module
from funcledger_event_log.kafka.shared import SharedEnd

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


async def test_followers_that_let_records_gather_get_them_all_in_fewer_batches(tmp_path: Path) -> None:
    async with ADAPTERS["kafka"](tmp_path) as log:
        assert isinstance(log, KafkaLog)
        await log.create_topic("tasks", 1)
        patient = KafkaLog(dataclasses.replace(log.settings, gather=0.5))
        following = [asyncio.create_task(_batches(each, 40)) for each in (log, patient)]
        for number in range(40):
            await log.append([new(b"%d" % number)])
            await asyncio.sleep(0.02)
        at_once, gathered = await asyncio.gather(*following)
        await patient.close()
        for found in (at_once, gathered):
            assert [value for batch in found for value in batch] == [b"%d" % number for number in range(40)]
        assert len(gathered) < len(at_once) / 2


async def _batches(log: KafkaLog, count: int) -> list[list[bytes]]:
    """The values of so many records, as they come."""
    found: list[list[bytes]] = []
    async with aclosing(log.follow({at(0): 0})) as batches:
        while sum(map(len, found)) < count:
            found.append(values(await anext(batches)))
    return found
