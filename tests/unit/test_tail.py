"""``Tail`` feeds every record once and in order, through interruptions and growth, and never skips one."""

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Mapping

import pytest
from tests.support.logs import at, new, values
from tests.support.poll import until

from funcledger_event_log import follower
from funcledger_event_log.follower import Tail
from funcledger_event_log.memory import MemoryLog
from funcledger_event_log.port import LogUnavailable
from funcledger_event_log.records import Record, Token, TopicPartition


class FlakyLog(MemoryLog):
    """Cuts off each follower after a batch, and refuses to be followed while it is down."""

    def __init__(self) -> None:
        super().__init__()
        self.down = False
        self.refused = 0

    async def follow(
        self, start: Mapping[TopicPartition, int], *, max_records: int = 3, max_bytes: int = 8 << 20
    ) -> AsyncGenerator[list[Record]]:
        if self.down:
            self.refused += 1
            raise LogUnavailable("it is down")
        async for batch in super().follow(start, max_records=3, max_bytes=max_bytes):
            yield batch
            raise LogUnavailable("cut off")


@pytest.fixture
async def log() -> AsyncIterator[FlakyLog]:
    log = FlakyLog()
    await log.create_topic("tasks", 2)
    await log.create_topic("results", 1)
    yield log
    await log.close()


async def test_it_has_caught_up_when_it_has_started(log: FlakyLog) -> None:
    await log.append([new(b"%d" % number, number % 2) for number in range(20)])
    await log.append([new(b"not followed", 0, "results")])
    seen: list[Record] = []
    tail = Tail(log, ["tasks"], seen.extend, name="test")
    await tail.start()
    assert values(seen, 0) == [b"%d" % number for number in range(0, 20, 2)]
    assert values(seen, 1) == [b"%d" % number for number in range(1, 20, 2)]
    assert str(tail.position) == "tasks:0:10,tasks:1:10"
    assert await tail.wait_past(Token.parse("tasks:1:10,results:0:99"), 0)
    await tail.stop()


async def test_it_begins_where_it_is_told(log: FlakyLog) -> None:
    await log.append([new(b"%d" % number) for number in range(5)])
    seen: list[Record] = []
    tail = Tail(log, ["tasks"], seen.extend, start={at(0): 3}, name="test")
    await tail.start()
    assert values(seen) == [b"3", b"4"]
    await tail.stop()


async def test_it_goes_on_from_where_it_was_when_the_log_is_back(log: FlakyLog) -> None:
    seen: list[Record] = []
    tail = Tail(log, ["tasks"], seen.extend, name="test")
    await tail.start()
    log.down = True
    positions = await log.append([new(b"%d" % number) for number in range(20)])
    await until(lambda: log.refused >= 2)
    assert not await tail.wait_past(Token.after(positions), 0.01)
    log.down = False
    assert await tail.wait_past(Token.after(positions), 5)
    assert values(seen) == [b"%d" % number for number in range(20)]
    await tail.stop()


async def test_partitions_that_are_added_are_followed(log: FlakyLog, monkeypatch: pytest.MonkeyPatch) -> None:
    """At once for somebody whose token names one, and before long for everybody."""
    seen: list[Record] = []
    tail = Tail(log, ["tasks"], seen.extend, name="asked")
    await tail.start()
    monkeypatch.setattr(follower, "GROWTH_INTERVAL", 0.01)
    unasked: list[Record] = []
    other = Tail(log, ["tasks"], unasked.extend, name="unasked")
    await other.start()
    await log.create_topic("tasks", 4)
    positions = await log.append([new(b"new", 3), new(b"old", 0)])
    assert await tail.wait_past(Token.after(positions), 5)
    assert sorted(values(seen)) == [b"new", b"old"]
    await until(lambda: sorted(values(unasked)) == [b"new", b"old"])
    await tail.stop()
    await other.stop()


async def test_an_error_in_apply_stops_it_and_is_not_lost(
    log: FlakyLog, caplog: pytest.LogCaptureFixture
) -> None:
    def apply(_records: list[Record]) -> None:
        raise RuntimeError("cannot be folded")

    tail = Tail(log, ["tasks"], apply, name="the folder")
    await tail.start()
    waiting = asyncio.ensure_future(tail.wait_past(Token.parse("tasks:0:1"), 5))
    with caplog.at_level(logging.ERROR):
        await log.append([new(b"poison")])
        assert await waiting is False
    assert isinstance(tail.failed, RuntimeError)
    assert "the folder has stopped" in caplog.text
    assert str(tail.position) == ""
    await tail.stop()
    with pytest.raises(RuntimeError, match="cannot be folded"):
        await Tail(log, ["tasks"], apply, name="again").start()


async def test_a_token_that_never_comes_leaves_nothing_behind(log: FlakyLog) -> None:
    tail = Tail(log, ["tasks"], lambda records: None, name="test")
    await tail.start()
    for token in ("tasks:0:999999999", "tasks:77:1"):
        assert not await tail.wait_past(Token.parse(token), 0.01)
    assert tail._reached._waiting == {}
    await tail.stop()
