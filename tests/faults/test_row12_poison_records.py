"""Row 12: poison records of every kind are dead-lettered once, and hold nothing up."""

from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry
from tests.support.endpoint import PARTITION, Endpoint
from tests.support.endpoints import TestEndpoint, gateway_over, memory_log, say
from tests.support.folding import caught_up, log_with, projecting, replayed
from tests.support.poison import REASONS, poison
from tests.support.poll import until
from tests.support.server import serving
from tests.support.stores import dump, sqlite
from tests.support.teller import Teller

from funcledger_compose.lag import LagMetric
from funcledger_event_log.http import HttpEndpointLog
from funcledger_event_log.memory import MemoryLog
from funcledger_event_log.records import NewRecord, Position, TopicPartition
from funcledger_read_models.documents import TASK_STATUS
from funcledger_read_models.memory import MemoryStore
from funcledger_schemas.events import TaskFailed, TaskStarted

DEAD_LETTERS = TopicPartition("dead_letters", 0)


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


def double(number: int) -> int:
    return 2 * number


async def test_row12_an_agent_leaves_poison_out_and_a_function_that_cannot_be_ends_its_task_alone() -> None:
    """All of it has this endpoint's key; through a gateway, which refuses what makes no sense."""
    log, known = await memory_log(), TestEndpoint(partition=PARTITION)
    await say(log, known.registered())
    async with gateway_over(log) as gateway, serving(gateway.app, gateway.door.close_feeds) as url:
        view = HttpEndpointLog(url, known.credential)
        endpoint = Endpoint(log, known.endpoint_id, view)
        key = known.endpoint_id.encode()
        await log.append(
            [NewRecord(each.topic, PARTITION, key, each.headers, each.value) for each in poison().values()]
        )
        senseless = await endpoint.submit(double, 1, function_hash="../hash")
        async with endpoint.agent():
            good = await endpoint.submit(double, 21)
            assert await endpoint.value(good) == 42
            failed = await endpoint.outcome(senseless)
            assert "'../hash' is no SHA-256" in failed.message
        said = [event for event in await endpoint.results() if isinstance(event, TaskStarted | TaskFailed)]
        assert {event.task_id for event in said} == {good, senseless}, "nothing of a task that no fold knows"
        await view.close()


def letters(log: MemoryLog) -> dict[Position, str]:
    """The reasons in dead_letters, by the position that each is about."""
    events: list[Any] = [each.event() for each in log.take(DEAD_LETTERS, 0, 1000, 1 << 30)]
    return {Position(each.topic, each.partition, each.offset): each.reason for each in events}
