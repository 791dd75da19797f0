"""What the embedded log owes beyond its port: few syncs, quick followers, bounded memory and files."""

import asyncio
import sqlite3
import time
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path

import pytest
from tests.support import logs
from tests.support.logs import at, collect, new, values

from funcledger_event_log.memory import MemoryLog
from funcledger_event_log.port import LogUnavailable, OutcomeUnknown, PositionGone
from funcledger_event_log.recent import RecentRecords, take
from funcledger_event_log.records import NewRecord, Record
from funcledger_event_log.sqlite import LogInUse, SqliteLog, checkpoints
from funcledger_event_log.sqlite import log as log_module
from funcledger_event_log.sqlite.partitions import Partition
from funcledger_event_log.sqlite.transaction import Transaction
from funcledger_schemas.events import FunctionDeleted
from funcledger_schemas.ids import new_id


@pytest.fixture
async def log(tmp_path: Path) -> AsyncIterator[SqliteLog]:
    async with logs.sqlite(tmp_path) as opened:
        await opened.create_topic("tasks", 4)
        yield opened


async def test_a_thousand_concurrent_appends_cost_at_most_fifty_fsyncs(log: SqliteLog) -> None:
    before = log.fsyncs
    await asyncio.gather(*(log.append([new(b"x" * 400, number % 4)]) for number in range(1000)))
    assert 1 <= log.fsyncs - before <= 50


async def test_each_append_for_itself_costs_a_sync(log: SqliteLog) -> None:
    """The counter counts: appends one after another cannot share a commit; a large value costs one more."""
    before = log.fsyncs
    for _ in range(5):
        await log.append([new(b"x")])
    await log.append([new(bytes(100_000))])
    assert log.fsyncs - before == 7


async def test_a_thousand_records_cost_little(log: SqliteLog) -> None:
    """About 7 ms of processor where this was written; slower and busier machines may take over twice that."""
    headers = tuple((f"ce_header{number}", b"a value of some length") for number in range(10))
    records = [NewRecord("tasks", number % 4, b"k" * 36, headers, bytes(400)) for number in range(1000)]
    costs = []
    for _ in range(10):
        before = time.process_time()
        await log.append(records)
        costs.append(time.process_time() - before)
    assert min(costs) < 0.020


async def test_followers_at_the_end_read_no_sql_and_are_woken_with_the_commit(
    log: SqliteLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fetch(*_: object) -> list[Record]:
        raise AssertionError("a follower at the end went to storage")

    monkeypatch.setattr(log, "fetch", fetch)
    async with aclosing(log.follow({at(0): 0, at(1): 0})) as batches:
        for number in range(100):
            waiting = asyncio.ensure_future(anext(batches))
            await log.append([new(b"%d" % number, number % 2)])
            for _ in range(3):  # passes of the event loop, in which nothing is waited for
                await asyncio.sleep(0)
            assert waiting.done()
            assert values(waiting.result()) == [b"%d" % number]


async def test_nobody_in_the_writers_process_decodes_again(log: SqliteLog) -> None:
    """Live followers of the embedded log get the writer's event; what crosses memory crosses bytes."""
    event = FunctionDeleted(
        event_id=new_id(), occurred_at=0, actor="user:a", function_id=new_id(), owner="user:a"
    )
    memory = MemoryLog()
    for some in (log, memory):
        await some.create_topic("functions", 1)
        await some.append([NewRecord.of(event, 0)])
    [live] = await collect(log, {at(0, "functions"): 0}, 1)
    [copied] = await collect(memory, {at(0, "functions"): 0}, 1)
    assert live.event() is event
    assert copied.event() == event
    assert copied.event() is not event


async def test_two_servers_never_open_one_directory(log: SqliteLog, tmp_path: Path) -> None:
    with pytest.raises(LogInUse, match="pid"):
        await SqliteLog.open(tmp_path / "log")
    await log.close()
    await (await SqliteLog.open(tmp_path / "log")).close()


async def test_commits_are_synced_before_they_are_acknowledged(log: SqliteLog) -> None:
    """Row 17: killing a process cannot show this, so the setting itself is looked at."""
    connection = log._storage._connection
    assert connection.execute("PRAGMA synchronous").fetchone() == (2,)
    assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_the_tail_in_memory_is_bounded_by_bytes() -> None:
    recent = RecentRecords(10 << 20)
    partitions = [Partition(at(number), number, 0) for number in range(3)]
    for number in range(300):
        partition = partitions[number % 3]
        record = Record(*partition.where, partition.end, 0, b"", (), bytes(1 << 20))
        recent.add(partition, [record])
        held = sum(len(kept.value) for some in partitions for kept in some.tail.values())
        assert (1 << 20 if number else 0) <= held <= 10 << 20
    for partition in partitions:
        assert partition.end == 100
        assert take(partition, 0, 10, 10) is None
        assert take(partition, 100, 10, 10) == []


async def test_appends_are_refused_while_too_much_waits(
    log: SqliteLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Memory stays bounded when the disk is slower than those who append; later all is well again."""
    monkeypatch.setattr(log_module, "WAITING_BYTES", 1_000_000)
    answers = await asyncio.gather(
        *(log.append([new(bytes(100_000))]) for _ in range(30)), return_exceptions=True
    )
    refused = [answer for answer in answers if isinstance(answer, LogUnavailable)]
    taken = [answer for answer in answers if isinstance(answer, list)]
    assert (len(refused), len(taken)) == (21, 9)
    assert (await log.ends("tasks"))[0] == 9
    assert await log.append([new(bytes(2_000_000))])


async def test_after_a_commit_whose_outcome_is_unknown_nothing_more_is_written(
    log: SqliteLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A sync that failed once may seem to succeed the next time; only a restart finds out what is there."""

    def fail(_: Transaction) -> None:
        error = sqlite3.OperationalError("disk I/O error")
        error.sqlite_errorcode = sqlite3.SQLITE_IOERR_FSYNC
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(Transaction, "commit", fail)
        with pytest.raises(OutcomeUnknown, match="restart"):
            await log.append([new(b"perhaps")])
    assert not await log.ready()
    with pytest.raises(LogUnavailable, match="restart"):
        await log.append([new(b"refused")])
    assert (await log.ends("tasks"))[0] == 0


async def test_the_write_ahead_log_stays_small_under_constant_load(
    log: SqliteLog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpoints, "EVERY_BYTES", 200_000)
    monkeypatch.setattr(checkpoints, "BEHIND_BYTES", 1_500_000)
    for _ in range(15):
        await asyncio.gather(*(log.append([new(b"x" * 50_000, number % 4)]) for number in range(20)))
    assert log._storage._checkpoints.syncs > 0
    assert (tmp_path / "log" / "log.db-wal").stat().st_size < 5_000_000


async def test_what_is_not_kept_is_said_to_be_gone(log: SqliteLog) -> None:
    with pytest.raises(PositionGone, match="-1"):
        await anext(log.follow({at(0): -1}))
