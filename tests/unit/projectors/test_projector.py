"""The runner: where it starts, what it waits out, what it stops for, and that it never holds up the loop."""

import asyncio
import logging
import threading
from collections.abc import AsyncGenerator, Mapping
from pathlib import Path
from typing import Any

import pytest
from tests.support.deadlines import scaled
from tests.support.folding import append, caught_up, fold_into, log_with, projecting, replayed
from tests.support.histories import history
from tests.support.poll import until
from tests.support.stores import dump, sqlite
from tests.support.teller import Teller

from funcledger_event_log.memory import MemoryLog
from funcledger_event_log.port import LogUnavailable, PositionGone
from funcledger_event_log.records import NewRecord, Record, TopicPartition
from funcledger_projectors import batch
from funcledger_projectors.applier import INLINE_RECORDS, Applier
from funcledger_projectors.inbox import MANY, RECORDS, Inbox
from funcledger_projectors.recent import Recent
from funcledger_read_models.documents import (
    HELD_EVENTS,
    TASK_RESULTS,
    TASK_STATUS,
    Key,
    TaskStatus,
    plain,
)
from funcledger_read_models.memory import MemoryStore
from funcledger_read_models.port import StoreUnavailable

RECORDS_OF_A_DAY = history(seed=1, moves=400)


async def test_law_2_a_live_projector_on_sqlite_ends_where_a_replay_in_memory_does(tmp_path: Path) -> None:
    log = await log_with(RECORDS_OF_A_DAY[:150])
    async with sqlite(tmp_path) as store:
        async with projecting(log, store) as projector:
            await append(log, RECORDS_OF_A_DAY[150:250])
            await caught_up(projector)
        # Stopped and started again, it goes on from the store's positions.
        await append(log, RECORDS_OF_A_DAY[250:])
        async with projecting(log, store) as projector:
            await caught_up(projector)
            assert projector.position.ends == {
                TopicPartition(*where): end for where, end in (await store.positions()).items()
            }
        assert await dump(store) == await replayed(log)


class DownStore(MemoryStore):
    """A store that fails a call of each kind; of its two failing saves the second takes effect."""

    def __init__(self) -> None:
        super().__init__()
        self.left = {"positions": 1, "load": 1, "save": 2}
        self.saved_unknown_to_the_writer = False

    def _fail(self, call: str) -> None:
        if self.left[call]:
            self.left[call] -= 1
            raise StoreUnavailable(f"{call} is down")

    async def positions(self) -> dict[tuple[str, int], int]:
        self._fail("positions")
        return await super().positions()

    async def load(self, wanted: Any) -> Any:
        self._fail("load")
        return await super().load(wanted)

    async def save(self, documents: Any, positions: Any, before: Any) -> None:
        if self.left["save"] == 1:
            self.saved_unknown_to_the_writer = True
            await super().save(documents, positions, before)
        self._fail("save")
        await super().save(documents, positions, before)


async def test_while_the_store_is_down_it_pauses_and_then_loses_nothing(
    caplog: pytest.LogCaptureFixture,
) -> None:
    log, store = await log_with(RECORDS_OF_A_DAY), DownStore()
    async with projecting(log, store) as projector:
        await caught_up(projector)
    assert store.left == dict.fromkeys(store.left, 0)
    assert store.saved_unknown_to_the_writer
    assert await dump(store) == await replayed(log)
    assert "the projector pauses" in caplog.text


class BrokenLog(MemoryLog):
    """A log whose followers are cut off again and again."""

    cuts = 5

    async def follow(
        self, start: Mapping[TopicPartition, int], *, max_records: int = 1000, max_bytes: int = 8 << 20
    ) -> AsyncGenerator[list[Record]]:
        async for records in super().follow(start, max_records=7):
            yield records
            if self.cuts:
                self.cuts -= 1
                raise LogUnavailable("cut")


async def test_when_the_log_is_unavailable_it_goes_on_from_where_it_was() -> None:
    log, store = await log_with(RECORDS_OF_A_DAY, BrokenLog()), MemoryStore()
    async with projecting(log, store) as projector:
        await caught_up(projector)
    assert isinstance(log, BrokenLog)
    assert log.cuts == 0
    assert await dump(store) == await replayed(log)


async def test_two_projectors_of_one_store_do_no_harm(tmp_path: Path) -> None:
    """The one that comes late with a save is refused, loads the positions afresh, and goes on (row 25)."""
    log = await log_with()
    async with sqlite(tmp_path) as store, projecting(log, store) as one, projecting(log, store) as other:
        for begin in range(0, len(RECORDS_OF_A_DAY), 40):
            await append(log, RECORDS_OF_A_DAY[begin : begin + 40])
            await asyncio.sleep(0)
        await caught_up(one)
        await caught_up(other)
        assert await dump(store) == await replayed(log)


async def test_events_that_waited_for_their_submission_leave_no_copy_once_they_are_folded() -> None:
    store = MemoryStore()

    async def copies() -> set[Key]:
        found = await store.find(HELD_EVENTS, limit=100_000)
        return {HELD_EVENTS.key_of(each)[:3] for each in found if plain(each)["value"]}

    await fold_into(store, [[each for each in RECORDS_OF_A_DAY if each.topic == "results"]])
    waiting = await copies()
    await fold_into(store, [[each for each in RECORDS_OF_A_DAY if each.topic != "results"]])
    tasks = (await store.load({TASK_STATUS: waiting}))[TASK_STATUS]
    submitted = {key for key, each in tasks.items() if plain(each)["submitted_offset"] is not None}
    assert submitted
    assert await copies() == waiting - submitted


async def test_a_projector_whose_successor_went_on_trusts_nothing_it_remembers() -> None:
    """Its cache still holds the documents as they were when it fell behind."""
    store = MemoryStore()
    behind = Applier(store, None)
    await behind.apply(await behind.prepare(RECORDS_OF_A_DAY[:100]))
    await fold_into(store, [RECORDS_OF_A_DAY[:250]])
    with pytest.raises(Exception, match="this writer started at"):
        await behind.apply(await behind.prepare(RECORDS_OF_A_DAY[100:]))
    await behind.reload()
    await behind.apply(await behind.prepare(RECORDS_OF_A_DAY))
    whole = MemoryStore()
    await fold_into(whole, [RECORDS_OF_A_DAY])
    assert await dump(store) == await dump(whole)


async def test_a_record_delivered_again_does_not_move_positions_back() -> None:
    store = MemoryStore()
    applier = Applier(store, None)
    await applier.apply(await applier.prepare(RECORDS_OF_A_DAY))
    positions = await store.positions()
    await applier.apply(await applier.prepare(RECORDS_OF_A_DAY[:10]))
    assert applier.positions == await store.positions() == positions


async def test_partitions_that_are_added_are_followed_too() -> None:
    log, store, teller = await log_with(), MemoryStore(), Teller()
    async with projecting(log, store, growth_interval=0.01) as projector:
        await caught_up(projector)
        await log.create_topic("tasks", 3)
        teller.submit(0, 0)
        await log.append([NewRecord.of(teller.records[0].event(), 2)])
        await until(lambda: ("tasks", 2) in {tuple(where) for where in projector.position.ends})
    assert len(await store.find(TASK_STATUS)) == 1


class PrunedLog(MemoryLog):
    """A log whose retention has overtaken its followers."""

    def check(self, start: Mapping[TopicPartition, int]) -> None:
        raise PositionGone("offset 0 of tasks:0 is gone")


async def test_when_records_are_gone_before_they_were_read_it_stops_and_says_so(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Row 27: a loud stop, not a silent skip."""
    log = await log_with(RECORDS_OF_A_DAY[:5], PrunedLog())
    async with projecting(log, MemoryStore()) as projector:
        await until(lambda: projector.failed)
        assert isinstance(projector.failed, PositionGone)
        assert await projector.lag() == 5
    assert [each.levelno for each in caplog.records if "has stopped" in each.message] == [logging.ERROR]


async def test_big_batches_are_folded_beside_the_event_loop_and_small_ones_on_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    threads: list[threading.Thread] = []
    for name in ("read", "mark"):
        work = getattr(batch, name)

        def seen(*arguments: Any, work: Any = work) -> Any:
            threads.append(threading.current_thread())
            return work(*arguments)

        monkeypatch.setattr(batch, name, seen)
    teller = Teller()
    for number in range(INLINE_RECORDS + 2):
        teller.submit(number, number)
    applier = Applier(MemoryStore(), None)
    await applier.apply(await applier.prepare(teller.records[:1]))
    assert {each is threading.main_thread() for each in threads} == {True}
    threads.clear()
    await applier.apply(await applier.prepare(teller.records[1:]))
    assert len(threads) == 2
    assert threading.main_thread() not in threads


async def test_the_reader_is_held_back_while_the_folding_is_behind() -> None:
    """So that memory is bounded, however long the log."""
    inbox, read = Inbox(), 0
    record = RECORDS_OF_A_DAY[0]

    async def read_on() -> None:
        nonlocal read
        while True:
            await inbox.put([record] * 1000)
            read += 1000

    reader = asyncio.create_task(read_on())
    await until(lambda: len(inbox) >= RECORDS)
    for _ in range(100):
        await asyncio.sleep(0)
    assert read == len(inbox) == RECORDS
    assert len(await inbox.take()) == RECORDS
    await until(lambda: read == 2 * RECORDS)
    reader.cancel()


def test_what_is_remembered_is_bounded_and_results_are_not() -> None:
    recent = Recent(generation=10)
    for number in range(95):
        document = TaskStatus(owner="o", task_id=str(number), endpoint_id="e", batch_id="b")
        recent.keep(
            {TASK_STATUS: {("o", str(number), "e"): document}, TASK_RESULTS: {("o", "t", "e"): document}}
        )
    keys = [("o", str(number), "e") for number in range(95)]
    found, missing = recent.look_up({TASK_STATUS: keys, TASK_RESULTS: [("o", "t", "e")]})
    assert list(found[TASK_STATUS]) == keys[80:]
    assert missing == {TASK_STATUS: keys[:80], TASK_RESULTS: [("o", "t", "e")]}


async def test_few_records_are_taken_at_once_and_many_wait_for_more_a_moment() -> None:
    records = RECORDS_OF_A_DAY[:1] * (MANY - 1)
    inbox = Inbox(gather=10)
    await inbox.put(records)
    assert len(await asyncio.wait_for(inbox.take(), scaled(5))) == MANY - 1
    inbox = Inbox(gather=0.2)
    await inbox.put([*records, *records])
    taking = asyncio.create_task(inbox.take())
    await asyncio.sleep(0)
    await inbox.put(records)
    assert len(await taking) == 3 * (MANY - 1)
    inbox = Inbox(gather=10)
    await inbox.put(RECORDS_OF_A_DAY[:1] * RECORDS)
    assert len(await asyncio.wait_for(inbox.take(), scaled(5))) == RECORDS, "there is no room for more"
    await inbox.put([*records, *records])
    taking = asyncio.create_task(inbox.take())
    await asyncio.sleep(0)
    await inbox.close()
    assert len(await asyncio.wait_for(taking, scaled(5))) == 2 * (MANY - 1), "no more will come"


async def test_after_a_slow_save_records_gather_for_the_next() -> None:
    inbox = Inbox(gather=10)
    await inbox.put(RECORDS_OF_A_DAY[:1])
    taking = asyncio.create_task(inbox.take(pause=0.2))
    await asyncio.sleep(0)
    await inbox.put(RECORDS_OF_A_DAY[1:2])
    assert await asyncio.wait_for(taking, scaled(5)) == RECORDS_OF_A_DAY[:2]


async def test_where_somebody_waits_records_do_not_gather() -> None:
    records = RECORDS_OF_A_DAY[:1] * MANY
    inbox = Inbox(gather=10)
    await inbox.put(records)
    taking = asyncio.create_task(inbox.take())
    await asyncio.sleep(0)
    await inbox.hurry(True)
    assert len(await asyncio.wait_for(taking, scaled(5))) == MANY
    await inbox.put(records)
    assert len(await asyncio.wait_for(inbox.take(pause=10), scaled(5))) == MANY
    await inbox.hurry(False)
    await inbox.put(records)
    taking = asyncio.create_task(inbox.take())
    await asyncio.sleep(0)
    await inbox.put(records)
    await inbox.close()
    assert len(await asyncio.wait_for(taking, scaled(5))) == 2 * MANY
