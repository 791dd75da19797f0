"""The embedded log from beside its server, as the projector's process reads it."""

import hashlib
import itertools
import os
from pathlib import Path

import msgspec
import pytest
from tests.support.commands import with_topics
from tests.support.folding import caught_up, projecting
from tests.support.histories import history
from tests.support.logs import at, collect
from tests.support.stores import dump

from funcledger_event_log.port import LogCorrupt, LogUnavailable
from funcledger_event_log.records import DecodeError, NewRecord, Record
from funcledger_event_log.sqlite import SqliteLog, SqliteView
from funcledger_event_log.sqlite.segment import HEAD, LARGE
from funcledger_read_models.documents import INLINE_LIMIT
from funcledger_read_models.memory import MemoryStore
from funcledger_schemas.events import RecordDeadLettered, TaskFailed

#: Sizes about the one over which values are large, and that over which payloads are left out.
SIZES = [
    10,
    LARGE - 11_000,
    *range(LARGE - 600, LARGE - 200, 50),
    INLINE_LIMIT,
    INLINE_LIMIT + 1,
    LARGE + 20_000,
]


def told() -> list[NewRecord]:
    """A history in which many payloads are large, or nearly."""
    sizes = itertools.cycle(SIZES)
    return [_told(record, next(sizes)) for record in history(seed=1, moves=200)]


def _told(record: Record, size: int) -> NewRecord:
    try:
        event = record.event()
    except DecodeError:
        return NewRecord(record.topic, record.partition, record.key, record.head, record.value)
    if hasattr(event, "payload"):
        event = msgspec.structs.replace(event, payload=os.urandom(size), payload_size=size)
    if isinstance(event, TaskFailed):
        event = msgspec.structs.replace(event, traceback="t" * 10_000)
    return NewRecord.of(event, record.partition)


async def test_what_is_folded_without_large_payloads_is_what_is_folded_with_them(tmp_path: Path) -> None:
    log = await SqliteLog.open(tmp_path)
    await with_topics(log)
    await log.append(told())
    stores = []
    for leave in (None, INLINE_LIMIT):
        view = await SqliteView.open(tmp_path, log.append, leave=leave)
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
    positions = await log.append([*said, garbage])
    view = await SqliteView.open(tmp_path, log.append, leave=INLINE_LIMIT)
    *found, last = await collect(view, {at(0, "results"): 0}, len(said) + 1)
    for record, whole in zip(found, said, strict=True):
        large = getattr(whole.event(), "payload_size", 0) > INLINE_LIMIT
        event = msgspec.structs.replace(whole.event(), payload=b"") if large else whole.event()
        assert (record.event(), record.headers) == (event, whole.headers)
        assert record.value == (whole.value[:HEAD] if large else whole.value)
    assert any(len(each.value) > LARGE for each in said)
    assert last.value == garbage.value
    read = await view.read(positions)
    assert [record.value for record in read if record] == [each.value for each in [*said, garbage]]
    await view.close()
    await log.close()


async def test_row12_a_large_misplaced_record_is_kept_with_its_own_size_and_hash(tmp_path: Path) -> None:
    log = await SqliteLog.open(tmp_path)
    await with_topics(log)
    good = next(each for each in told() if getattr(each.decoded, "payload_size", 0) > INLINE_LIMIT)
    await log.append([NewRecord(good.topic, good.partition, b"no key of its", good.head, good.value)])
    view = await SqliteView.open(tmp_path, log.append, leave=INLINE_LIMIT)
    async with projecting(view, MemoryStore()) as projector:
        await caught_up(projector)
    (letter,) = [each.event() for each in await collect(log, {at(0, "dead_letters"): 0}, 1)]
    assert isinstance(letter, RecordDeadLettered)
    assert (letter.size, letter.sha256) == (len(good.value), hashlib.sha256(good.value).hexdigest())
    await view.close()
    await log.close()


def _flip(folder: Path, where: int) -> None:
    (values,) = folder.glob("*.values")
    with values.open("r+b") as file:
        file.seek(where)
        (old,) = file.read(1)
        file.seek(where)
        file.write(bytes([old ^ 1]))


@pytest.mark.parametrize("where", [20, 300, HEAD - 1])
async def test_row28_damage_in_the_beginning_of_a_large_value_is_refused_and_never_folded(
    tmp_path: Path, where: int
) -> None:
    log = await SqliteLog.open(tmp_path)
    await with_topics(log)
    good = next(each for each in told() if getattr(each.decoded, "payload_size", 0) > INLINE_LIMIT)
    await log.append([good])
    _flip(tmp_path, where)
    view = await SqliteView.open(tmp_path, log.append, leave=INLINE_LIMIT)
    with pytest.raises(LogCorrupt, match="not those that were written"):
        await collect(view, {at(good.partition, good.topic): 0}, 1)
    await view.close()
    await log.close()


async def test_what_the_server_has_not_told_of_yet_is_not_there(tmp_path: Path) -> None:
    """Else the read models would know what the server itself cannot read yet."""
    log = await SqliteLog.open(tmp_path)
    await with_topics(log)
    said = [each for each in told() if (each.topic, each.partition) == ("results", 0)]
    await log.append(said[:2])
    view = await SqliteView.open(tmp_path, log.append)
    await log.append(said[2:])
    where = at(0, "results")
    assert [each.offset for each in await view.fetch(where, 0, 1000, 1 << 20)] == [0, 1]
    view.advance([(*where, 3)])
    assert [each.offset for each in await view.fetch(where, 1, 1000, 1 << 20)] == [1, 2]
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
