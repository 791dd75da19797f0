"""Row 12: poison records of every kind are dead-lettered once, and hold nothing up."""

from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry
from tests.support.folding import caught_up, log_with, projecting, replayed
from tests.support.poll import until
from tests.support.seeds import seeded
from tests.support.stores import dump, sqlite
from tests.support.teller import ENDPOINTS, Teller

from funcledger_compose.lag import LagMetric
from funcledger_event_log.memory import MemoryLog
from funcledger_event_log.records import NewRecord, Position, TopicPartition
from funcledger_read_models.documents import TASK_STATUS
from funcledger_read_models.memory import MemoryStore

DEAD_LETTERS = TopicPartition("dead_letters", 0)
#: Poison by name, and what its dead letter must say.
REASONS = {
    "random bytes": "not a TaskSubmitted of version 1",
    "no headers": "names no schema",
    "truncated": "not a TaskSubmitted of version 1",
    "empty": "magic byte",
    "bytes left over": "follow the TaskSubmitted",
    "unknown schema": "unknown schema 'urn:funcledger:schema:TaskVanished:1'",
    "wrong key": "is not that of the TaskSubmitted",
    "wrong topic": "a TaskSubmitted does not belong on 'results'",
    "Avro bomb": "not a TaskSubmitted of version 1",
}


def poison() -> dict[str, NewRecord]:
    """A record of each kind."""
    teller = Teller()
    teller.submit(0, 0)
    good = NewRecord.of(teller.records[0].event(), 0)

    def bad(**changes: Any) -> NewRecord:
        fields = {name: getattr(good, name) for name in ("topic", "partition", "key", "headers", "value")}
        return NewRecord(**(fields | changes))

    vanished = tuple((name, value.replace(b"Submitted:", b"Vanished:")) for name, value in good.headers)
    return {
        "random bytes": bad(value=b"\x00\x00\x00\x00\x01" + seeded().randbytes(3)),
        "no headers": bad(headers=()),
        "truncated": bad(value=good.value[:-4]),
        "empty": bad(value=b""),
        "bytes left over": bad(value=good.value + b"\x00"),
        "unknown schema": bad(headers=vanished),
        "wrong key": bad(key=ENDPOINTS[1].encode()),
        "wrong topic": bad(topic="results"),
        "Avro bomb": bad(value=b"\x00\x00\x00\x00\x01" + b"\xfe\xff\xff\xff\xff\xff\xff\xff\xff\x01"),
    }


async def test_row12_each_is_dead_lettered_once_and_a_rebuild_appends_nothing(tmp_path: Path) -> None:
    teller, log, where = Teller(), await log_with(), {}
    for number, (name, record) in enumerate(poison().items()):
        teller.submit(0, number)
        _, where[name] = await log.append([NewRecord.of(teller.records[-1].event(), 0), record])
    async with sqlite(tmp_path) as store:
        for _ in range(2):  # a restart says nothing twice
            async with projecting(log, store) as projector:
                await caught_up(projector)
                assert await projector.lag() == 0
        assert len(await store.find(TASK_STATUS)) == len(where)
        live = await dump(store)
    kept = letters(log)
    assert sorted(kept) == sorted(where.values())
    for name, position in where.items():
        assert REASONS[name] in kept[position], name
    rebuilt = MemoryStore()
    async with projecting(log, rebuilt, rebuild=True) as projector:
        await caught_up(projector)
    assert await dump(rebuilt) == live == await replayed(log)
    assert (await log.ends("dead_letters"))[0] == len(where)


async def test_row12_an_operator_sees_how_many_there_are_and_that_nothing_is_held_up() -> None:
    """As the server's metrics tell it."""
    teller, log = Teller(), await log_with()
    for record in poison().values():
        await log.append([record])
    teller.submit(0, 0)
    await log.append([NewRecord.of(teller.records[0].event(), 0)])
    registry = CollectorRegistry()
    async with projecting(log, MemoryStore()) as projector:
        await caught_up(projector)
        metric = LagMetric(log, projector, registry)
        await metric.start()
        await until(lambda: registry.get_sample_value("funcledger_dead_letters") == len(REASONS))
        assert registry.get_sample_value("funcledger_projector_lag_records") == 0
        await metric.stop()


def letters(log: MemoryLog) -> dict[Position, str]:
    """The reasons in dead_letters, by the position that each is about."""
    events: list[Any] = [each.event() for each in log.take(DEAD_LETTERS, 0, 1000, 1 << 30)]
    return {Position(each.topic, each.partition, each.offset): each.reason for each in events}
