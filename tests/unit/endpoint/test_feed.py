"""The feed: every record once and in order, through cuts and renewals, and it ends when it is told to."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from tests.support.deadlines import scaled
from tests.support.poll import until

from funcledger_endpoint.feed import Feed
from funcledger_event_log.port import LogUnavailable
from funcledger_event_log.records import Record

SUBMITTED = (("ce_type", b"funcledger.events.TaskSubmitted"),)


class Log:
    """Ten records, then silence; the second stream is cut in the middle."""

    def __init__(self) -> None:
        self.opened: list[tuple[int, int, int]] = []

    async def follow_tasks(
        self, start: int, *, credit: int, credit_bytes: int
    ) -> AsyncIterator[list[Record]]:
        self.opened.append((start, credit, credit_bytes))
        for offset in range(start, 10):
            if offset == 6 and len(self.opened) == 2:
                raise LogUnavailable("cut")
            yield [Record("tasks", 0, offset, 0, b"", SUBMITTED, b"value")]
            yield []
            await asyncio.sleep(0)
        await asyncio.Event().wait()


async def test_every_record_comes_once_through_cuts_and_renewals() -> None:
    log: Any = Log()
    got: list[int] = []

    def take(records: list[Record]) -> None:
        got.extend(record.offset for record in records)
        if got[-1] == 3:
            feed.grant(100, 1000)

    feed = Feed(log, 0, take)
    running = asyncio.create_task(feed.run())
    await until(lambda: len(got) == 10)
    assert got == list(range(10))
    assert log.opened[1] == (4, 100, 1000)
    feed.grant(100, 1000)
    assert len(log.opened) == 3
    running.cancel()
    await asyncio.wait([running])


async def test_told_to_end_at_the_moment_of_a_renewal_it_ends() -> None:
    feed = Feed(Log(), 0, lambda records: None)  # type: ignore[arg-type]
    running = asyncio.create_task(feed.run())
    await until(lambda: feed.next == 10)
    feed.grant(100, 1000)
    running.cancel()
    await asyncio.wait_for(asyncio.wait([running]), scaled(2))
    assert running.cancelled()


async def test_what_is_held_beyond_its_limit_is_no_credit_below_none() -> None:
    """A payload larger than what was left has come. Of less than none the gateway would end the agent."""
    log: Any = Log()
    feed = Feed(log, 0, lambda records: None)
    running = asyncio.create_task(feed.run())
    await until(lambda: feed.next == 10)
    feed.grant(0, 0)
    assert len(log.opened) == 1, "nothing more may come than may come now"
    feed.grant(50, -1_000_000)
    await until(lambda: len(log.opened) == 2)
    feed.grant(-1, -500_000)
    assert log.opened[-1] == (10, 50, 0)
    running.cancel()
    await asyncio.wait([running])
