"""How large a batch is: what the store takes in a second or two, however fast or slow it is."""

import asyncio

import pytest
from tests.support.deadlines import scaled
from tests.support.folding import caught_up, log_with, projecting, replayed
from tests.support.histories import history
from tests.support.stores import dump

from funcledger_projectors.inbox import Inbox
from funcledger_projectors.pace import FIRST, LEAST, SECONDS, Pace
from funcledger_read_models.memory import MemoryStore
from funcledger_read_models.port import Documents, Positions, StoreUnavailable

RECORDS_OF_A_DAY = history(seed=2, moves=1500)


@pytest.mark.parametrize("rate", [200.0, 1_000.0, 40_000.0])
def test_batches_grow_or_shrink_to_what_the_store_takes_in_good_time(rate: float) -> None:
    pace = Pace()
    for _ in range(12):
        pace.took(pace.records, pace.records / rate)
    assert pace.records == pytest.approx(rate * SECONDS, rel=0.5)


def test_a_batch_that_was_no_full_one_says_nothing_of_how_large_they_may_be() -> None:
    pace = Pace()
    pace.took(FIRST - 1, 0.001)
    assert pace.records == FIRST


def test_failures_make_batches_smaller_down_to_single_records() -> None:
    pace = Pace()
    for _ in range(10):
        pace.failed(FIRST)
    assert pace.records == 1
    pace.took(1, 0.001)
    assert pace.records == 2


def test_a_store_that_takes_long_for_any_batch_is_not_sent_ever_smaller_ones() -> None:
    """As with a lock that another projector holds, or acknowledgements that come from far away."""
    pace = Pace()
    for _ in range(20):
        pace.took(pace.records, 2.2 + pace.records / 5000)
    assert pace.records == LEAST


def test_a_batch_that_failed_makes_the_next_smaller_than_itself() -> None:
    pace = Pace()
    for _ in range(5):
        pace.took(pace.records, 0.1)
    pace.failed(FIRST)
    assert pace.records < FIRST


async def test_an_inbox_gives_no_more_than_is_asked_for_and_keeps_the_rest_in_order() -> None:
    inbox = Inbox(gather=10)
    await inbox.put(RECORDS_OF_A_DAY[:700])
    await inbox.close()
    taken = [await inbox.take(300) for _ in range(4)]
    assert [len(each) for each in taken] == [300, 300, 100, 0]
    assert [record for batch in taken for record in batch] == RECORDS_OF_A_DAY[:700]


async def test_where_enough_lies_in_an_inbox_nothing_is_waited_for() -> None:
    inbox = Inbox(gather=10)
    await inbox.put(RECORDS_OF_A_DAY[:700])
    assert len(await asyncio.wait_for(inbox.take(600), scaled(5))) == 600


class OverwhelmedStore(MemoryStore):
    """Does not answer to a save of many documents in the time a driver waits; nothing of it is saved."""

    def __init__(self, most: int) -> None:
        super().__init__()
        self._most = most
        self.refused: list[int] = []

    async def save(self, documents: Documents, positions: Positions, before: Positions) -> None:
        count = sum(map(len, documents.values()))
        if count > self._most:
            self.refused.append(count)
            raise StoreUnavailable("timed out")
        await super().save(documents, positions, before)


async def test_a_backlog_that_is_too_much_for_the_store_at_once_gets_through_in_smaller_batches() -> None:
    log, store = await log_with(RECORDS_OF_A_DAY), OverwhelmedStore(40)
    async with projecting(log, store) as projector:
        await caught_up(projector)
    assert store.refused, "it was too much at first"
    assert await dump(store) == await replayed(log)
