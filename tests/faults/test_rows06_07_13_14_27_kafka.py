"""FAULTS 6, 7, 13, 14 and 27: what the log on Kafka promises when the broker freezes, dies or forgets."""

import asyncio
import contextlib
import dataclasses
import signal
import threading
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import pytest
from confluent_kafka import KafkaException, Producer
from confluent_kafka import TopicPartition as KafkaPartition
from confluent_kafka.admin import AdminClient, OffsetSpec  # type: ignore[attr-defined]
from tests.support import parts
from tests.support.deadlines import scaled
from tests.support.fatal import Builder, astray, fail_for_good
from tests.support.logs import at, collect, new, values
from tests.support.poll import until

from funcledger_compose.native.process import NativeProcess
from funcledger_event_log.kafka import KafkaLog, KafkaSettings, admin, producer
from funcledger_event_log.kafka.admin import Admin
from funcledger_event_log.kafka.producer import Writer
from funcledger_event_log.kafka.topics import Topics
from funcledger_event_log.port import LogUnavailable, OutcomeUnknown, PositionGone
from funcledger_event_log.records import Position, Record
from funcledger_schemas.ids import new_id

pytestmark = pytest.mark.distributed

#: No client can be made of them, as for the moment in which somebody replaces the file.
UNUSABLE = {"security.protocol": "SSL", "ssl.ca.location": "/nowhere/ca.pem"}


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NativeProcess]:
    process = parts.own_kafka(tmp_path_factory.mktemp("broker") / "kafka")
    yield process
    process.stop()


@asynccontextmanager
async def opened(
    broker: NativeProcess, build: Builder | None = None, **settings: float
) -> AsyncIterator[KafkaLog]:
    asked = KafkaSettings(broker.address, prefix=f"t{new_id()}.", **settings)  # type: ignore[arg-type]
    log = KafkaLog(asked, producer=build or Builder())
    try:
        await log.create_topic("tasks", 2)
        yield log
    finally:
        await log.close()


@contextmanager
def frozen(broker: NativeProcess) -> Iterator[None]:
    broker.signal(signal.SIGSTOP)
    try:
        yield
    finally:
        broker.signal(signal.SIGCONT)


async def test_row_6_an_append_that_times_out_is_of_unknown_outcome_and_may_be_sent_again(
    broker: NativeProcess,
) -> None:
    async with opened(broker, delivery_timeout=1.0) as log:
        await log.append([new(b"before")])
        with frozen(broker):
            begun = time.monotonic()
            with pytest.raises(OutcomeUnknown):
                await log.append([new(b"lost?"), new(b"lost?", 1)])
            assert time.monotonic() - begun < scaled(4)
        await log.append([new(b"lost?"), new(b"after")])
        records = await collect(log, {at(0): 0}, (await log.ends("tasks"))[0])
        assert values(records)[0] == b"before"
        assert values(records)[-1] == b"after"
        assert b"lost?" in values(records)


async def test_row_7_a_fatal_error_rebuilds_the_producer_with_readiness_red_meanwhile(
    broker: NativeProcess,
) -> None:
    build = Builder()
    async with opened(broker, build) as log:
        await log.append([new(b"before")])
        assert await log.ready()
        build.may_build.clear()
        with frozen(broker):
            under_way = asyncio.ensure_future(log.append([new(b"under way")]))
            await asyncio.wait([under_way], timeout=0.1)
            fail_for_good(build.built[0])
            with pytest.raises(OutcomeUnknown):
                await asyncio.wait_for(under_way, scaled(5))
        assert not await log.ready()
        with pytest.raises(LogUnavailable):
            await log.append([new(b"refused")])
        build.may_build.set()
        await until(log.ready)
        await log.append([new(b"after")])
        assert len(build.built) == 2
        found = Counter(values(await collect(log, {at(0): 0}, (await log.ends("tasks"))[0])))
        assert (found[b"before"], found[b"refused"], found[b"after"]) == (1, 0, 1)


@asynccontextmanager
async def not_to_be_rebuilt(broker: NativeProcess) -> AsyncIterator[tuple[KafkaLog, Builder]]:
    """A log whose producer has failed for good, and the builder, which can make no other as it is told."""
    build = Builder()
    async with opened(broker, build) as log:
        await log.append([new(b"before")])
        build.further = UNUSABLE
        fail_for_good(build.built[0])
        yield log, build


async def test_row_7_a_producer_that_cannot_be_rebuilt_yet_is_tried_again_with_readiness_red_meanwhile(
    broker: NativeProcess, caplog: pytest.LogCaptureFixture
) -> None:
    async with not_to_be_rebuilt(broker) as (log, build):
        await until(lambda: caplog.text.count("no new producer can be made") >= 2)
        assert not await log.ready()
        with pytest.raises(LogUnavailable):
            await log.append([new(b"refused")])
        build.further = {}
        await until(log.ready)
        await log.append([new(b"after")])
        assert values(await collect(log, {at(0): 0}, 2)) == [b"before", b"after"]


async def test_row_7_a_log_whose_producer_cannot_be_rebuilt_closes_all_the_same(
    broker: NativeProcess, caplog: pytest.LogCaptureFixture
) -> None:
    async with not_to_be_rebuilt(broker):
        await until(lambda: "trying again in 2 s" in caplog.text)
        begun = time.monotonic()
    assert time.monotonic() - begun < scaled(1.5)


async def test_row_13_a_producer_that_has_lost_the_cluster_for_good_is_built_anew(
    broker: NativeProcess,
) -> None:
    async with opened(broker) as log:
        writer = Writer(dataclasses.replace(log.settings, delivery_timeout=0.3), astray(Producer))

        async def appended() -> bool:
            with contextlib.suppress(OutcomeUnknown, LogUnavailable):
                return bool(await writer.append([new(b"x")], 1))
            return False

        assert not await appended()
        await until(appended, timeout=20)
        await asyncio.to_thread(writer.close)


async def test_row_13_readiness_is_red_until_appends_get_through_though_the_cluster_answers(
    broker: NativeProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Found with three brokers, of which the last one goes on to answer questions and can take nothing."""
    monkeypatch.setattr(producer, "ANSWER_TIMEOUT", 0.5)
    async with opened(broker) as made:
        settings = dataclasses.replace(made.settings, delivery_timeout=0.5)
        log = KafkaLog(settings, producer=astray(Producer))
        assert await log.partitions("tasks") == 2
        assert await log.ready()
        with pytest.raises(LogUnavailable):
            await log.append([new(b"x")])
        assert log._writer.ready
        assert not await log.ready()
        # Nobody appends any more, and it is found out all the same when that is possible again.
        await until(log.ready, timeout=20)
        await log.append([new(b"x")])
        await log.close()


async def test_row_13_a_client_that_has_lost_the_cluster_for_good_is_asked_once_more_and_replaced(
    broker: NativeProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(admin, "ANSWER_TIMEOUT", 0.5)
    async with opened(broker) as log:
        topics = Topics(log.settings, Admin(log.settings, astray(AdminClient)))
        with pytest.raises(LogUnavailable):
            await topics.partitions("tasks")
        monkeypatch.undo()
        assert await topics.partitions("tasks") == 2


async def test_row_14_a_frozen_broker_is_told_in_time_and_costs_no_threads(
    broker: NativeProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(producer, "WAITING_RECORDS", 10)
    async with opened(broker, delivery_timeout=3.0) as log:
        await log.append([new(b"before")])
        await log.committed("somebody", at(0))
        with frozen(broker):
            under_way = asyncio.ensure_future(log.append([new(b"x")] * 10))
            begun = time.monotonic()
            # What the broker answered in the moment before it froze may still be on its way.
            while await log.ready():
                assert time.monotonic() - begun < scaled(2)
            assert time.monotonic() - begun < scaled(2)
            threads = threading.active_count()
            for _ in range(50):
                with pytest.raises(LogUnavailable, match="wait for the broker"):
                    await log.append([new(b"too much")])
            assert not any(await asyncio.gather(*(log.ready() for _ in range(50))))
            assert threading.active_count() <= threads
            with pytest.raises(OutcomeUnknown):
                await under_way
            assert time.monotonic() - begun < scaled(6)
        await until(log.ready, timeout=10)
        await log.append([new(b"after")])
        assert b"too much" not in values(await collect(log, {at(0): 0}, (await log.ends("tasks"))[0]))


class _Writing:
    """Writers that go on whatever happens, and remember what they were told."""

    def __init__(self, log: KafkaLog) -> None:
        self.log = log
        self.acknowledged: dict[bytes, Position] = {}
        self.refused: set[bytes] = set()
        self.unknown: set[bytes] = set()
        self.stopping = False

    async def write(self, name: int) -> None:
        number = 0
        while not self.stopping:
            number += 1
            pair = [b"%d:%d:%d" % (name, number, partition) for partition in (0, 1)]
            try:
                positions = await self.log.append([new(value, p) for p, value in enumerate(pair)])
                self.acknowledged |= dict(zip(pair, positions, strict=True))
            except LogUnavailable:
                self.refused.update(pair)
                await asyncio.sleep(0.05)
            except OutcomeUnknown:
                self.unknown.update(pair)


async def test_row_13_a_broker_killed_under_load_loses_and_doubles_nothing_and_is_back_within_five_seconds(
    broker: NativeProcess,
) -> None:
    async with opened(broker) as log:
        seen: list[Record] = []
        follower = asyncio.create_task(_follow(log, seen))
        writing = _Writing(log)
        writers = [asyncio.create_task(writing.write(name)) for name in range(4)]
        await until(lambda: len(seen) > 500, timeout=20)
        broker.kill()
        before = len(writing.acknowledged)
        await asyncio.to_thread(broker.start)
        returned = time.monotonic()
        await until(lambda: len(writing.acknowledged) > before + 100, timeout=10)
        assert time.monotonic() - returned < scaled(5)
        writing.stopping = True
        await asyncio.gather(*writers)
        ends = await log.ends("tasks")
        await until(lambda: len(seen) >= sum(ends.values()), timeout=10)
        follower.cancel()
        await asyncio.gather(follower, return_exceptions=True)
        _audit(writing, seen, await collect(log, {at(0): 0, at(1): 0}, sum(ends.values())))


async def test_row_13_questions_about_the_log_are_answered_soon_after_the_broker_is_back(
    broker: NativeProcess,
) -> None:
    """Found by chaos: a client learnt of its leaders' new epochs only minutes later, refused until then."""
    async with opened(broker) as log:
        await log.append([new(b"x")])
        asked = {KafkaPartition(log.settings.topic("tasks"), 0): OffsetSpec.latest()}  # type: ignore[no-untyped-call]
        client = AdminClient(log.settings.admin())

        def end() -> int:
            (answer,) = client.list_offsets(asked, request_timeout=5).values()
            return int(answer.result().offset)

        assert await asyncio.to_thread(end) == 1
        broker.kill()
        await asyncio.to_thread(broker.start)

        async def answered() -> bool:
            with contextlib.suppress(KafkaException):
                return await asyncio.to_thread(end) == 1
            return False

        await until(answered, timeout=15)


async def _follow(log: KafkaLog, seen: list[Record]) -> None:
    async for batch in log.follow({at(0): 0, at(1): 0}):
        seen += batch


def _audit(writing: _Writing, seen: list[Record], there: list[Record]) -> None:
    """Acknowledged is there once, where it was said to be; refused is not; the follower saw what is there."""
    counted = Counter(values(there))
    assert {record.position: record.value for record in there} == {r.position: r.value for r in seen}
    assert len(seen) == len(there)
    assert {record.value: record.position for record in there}.items() >= writing.acknowledged.items()
    assert max(counted.values()) == 1
    assert not writing.refused & counted.keys()
    assert counted.keys() <= writing.acknowledged.keys() | writing.unknown


async def test_row_27_a_follower_whom_retention_has_overtaken_is_told_loudly(broker: NativeProcess) -> None:
    async with opened(broker) as log:
        await log.append([new(b"%d" % number) for number in range(10)])
        admin = AdminClient({"bootstrap.servers": broker.address})
        topic = log.settings.topic("tasks")
        for future in admin.delete_records([KafkaPartition(topic, 0, 4)]).values():
            await asyncio.wrap_future(future)
        assert (await log.starts("tasks"))[0] == 4
        with pytest.raises(PositionGone):
            await anext(log.follow({at(0): 3}))
        with pytest.raises(PositionGone):
            await anext(log.follow({at(0): 11}))
        assert values(await collect(log, {at(0): 4}, 6)) == [b"%d" % number for number in range(4, 10)]
        assert await log.read([Position("tasks", 0, 3)]) == [None]
