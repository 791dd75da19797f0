"""The embedded log from beside its server, as the projector's process reads it."""

import os
from pathlib import Path

import msgspec
import pytest
from tests.support.commands import with_topics
from tests.support.folding import caught_up, projecting
from tests.support.histories import history
from tests.support.logs import at, collect
from tests.support.stores import dump

from funcledger_event_log.port import LogUnavailable
from funcledger_event_log.records import DecodeError, NewRecord, Record
from funcledger_event_log.sqlite import SqliteLog, SqliteView
from funcledger_event_log.sqlite.segment import HEAD, LARGE
from funcledger_read_models.memory import MemoryStore


def told() -> list[NewRecord]:
    """A history in which every third payload is large."""
    return [_told(number, record) for number, record in enumerate(history(seed=1, moves=200))]


def _told(number: int, record: Record) -> NewRecord:
    try:
        event = record.event()
    except DecodeError:
        return NewRecord(record.topic, record.partition, record.key, record.head, record.value)
    if number % 3 == 0 and hasattr(event, "payload"):
        event = msgspec.structs.replace(event, payload=os.urandom(LARGE + 1), payload_size=LARGE + 1)
    return NewRecord.of(event, record.partition)


async def test_what_is_folded_without_large_payloads_is_what_is_folded_with_them(tmp_path: Path) -> None:
    log = await SqliteLog.open(tmp_path)
    await with_topics(log)
    await log.append(told())
    stores = []
    for heads in (False, True):
        view = await SqliteView.open(tmp_path, log.append, heads=heads)
        stores.append(MemoryStore())
        async with projecting(view, stores[-1]) as projector:
            await caught_up(projector)
        await view.close()
    assert await dump(stores[0]) == await dump(stores[1])
    await log.close()


async def test_a_large_event_comes_with_an_empty_payload_and_anything_else_whole(tmp_path: Path) -> None:
    log = await SqliteLog.open(tmp_path)
    await with_topics(log)
    said = [each for each in told() if (each.topic, each.partition) == ("results", 0) and each.decoded]
    garbage = NewRecord("results", 0, b"k", (), bytes(LARGE + 1))
    await log.append([*said, garbage])
    view = await SqliteView.open(tmp_path, log.append, heads=True)
    *found, last = await collect(view, {at(0, "results"): 0}, len(said) + 1)
    for record, whole in zip(found, said, strict=True):
        large = len(whole.value) > LARGE
        event = msgspec.structs.replace(whole.event(), payload=b"") if large else whole.event()
        assert (record.event(), record.headers) == (event, whole.headers)
        assert record.value == (whole.value[:HEAD] if large else whole.value)
    assert any(len(each.value) > LARGE for each in said)
    assert last.value == garbage.value
    await view.close()
    await log.close()


async def test_what_the_server_alone_may_do_is_refused(tmp_path: Path) -> None:
    log = await SqliteLog.open(tmp_path)
    await with_topics(log)
    view = await SqliteView.open(tmp_path, log.append)
    with pytest.raises(LogUnavailable, match="only the server itself makes topics"):
        await view.create_topic("tasks", 100)
    with pytest.raises(LogUnavailable, match="only the server keeps positions"):
        await view.commit("somebody", at(), 1)
    assert await view.committed("somebody", at()) is None
    await log.commit("somebody", at(), 7)
    kept = await view.committed("somebody", at())
    assert kept is not None
    assert kept.offset == 7
    await view.close()
    assert not await view.ready()
    await log.close()
