"""FAULT 13 with three brokers: one of them may die, and without two nothing is taken, and nothing lost."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest
from confluent_kafka.admin import AdminClient
from tests.support import parts
from tests.support.brokers import ThreeBrokers
from tests.support.deadlines import scaled
from tests.support.logs import at, collect, new
from tests.support.poll import until

from funcledger_event_log.kafka import KafkaLog, KafkaSettings
from funcledger_event_log.kafka.cluster import Cluster, findings
from funcledger_event_log.port import LogUnavailable, OutcomeUnknown
from funcledger_event_log.records import Position, Record
from funcledger_schemas.ids import new_id

pytestmark = [pytest.mark.distributed, pytest.mark.slow, pytest.mark.timeout(180)]

#: Seconds after which a record that is not acknowledged is given up here.
GIVEN_UP = 3.0
#: Seconds until the others have taken over from a broker that was killed, and until killed ones are back.
TAKEN_OVER, BACK = 20.0, 40.0


@pytest.fixture(scope="module")
def three(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ThreeBrokers]:
    cluster = parts.had("kafka", lambda: ThreeBrokers(tmp_path_factory.mktemp("three")))
    cluster.start()
    yield cluster
    cluster.stop()


@asynccontextmanager
async def opened(three: ThreeBrokers, replication: int | None = None) -> AsyncIterator[KafkaLog]:
    settings = KafkaSettings(
        three.bootstrap, prefix=f"t{new_id()}.", delivery_timeout=GIVEN_UP, replication=replication
    )
    log = KafkaLog(settings)
    try:
        await log.create_topic("tasks", 1)
        yield log
    finally:
        await log.close()


async def leader_of(log: KafkaLog) -> int:
    """The number of the broker that takes records of the partition."""
    topic = log.settings.topic("tasks")
    client = AdminClient(log.settings.admin())
    known = await asyncio.to_thread(client.list_topics, topic, 5)
    return int(known.topics[topic].partitions[0].leader)


class Writing:
    """Writers that send each event until it is acknowledged, as services do, and only then the next."""

    def __init__(self, log: KafkaLog) -> None:
        self.log = log
        self.acknowledged: dict[bytes, Position] = {}
        #: Those that were sent more than once, since nobody said whether they are there.
        self.unknown: set[bytes] = set()
        self.refusals = 0
        self.longest = 0.0
        self.stopping = False

    async def write(self, name: int) -> None:
        number = 0
        while not self.stopping:
            await self._until_acknowledged(b"%d:%d" % (name, number))
            number += 1

    async def _until_acknowledged(self, value: bytes) -> None:
        while value not in self.acknowledged:
            begun = time.monotonic()
            try:
                (self.acknowledged[value],) = await self.log.append([new(value)])
            except OutcomeUnknown:
                self.unknown.add(value)
                self.refusals += 1
            except LogUnavailable:
                self.refusals += 1
                await asyncio.sleep(0.05)
            self.longest = max(self.longest, time.monotonic() - begun)


@asynccontextmanager
async def written(log: KafkaLog, writers: int = 4) -> AsyncIterator[Writing]:
    """Writers at work; at the end what they were told is compared with what is there."""
    writing = Writing(log)
    tasks = [asyncio.create_task(writing.write(name)) for name in range(writers)]
    try:
        await until(lambda: len(writing.acknowledged) > 100, timeout=20)
        yield writing
        writing.stopping = True
        await asyncio.wait_for(asyncio.gather(*tasks), scaled(TAKEN_OVER))
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    audit(writing, await collect(log, {at(): 0}, (await log.ends("tasks"))[0]))


def audit(writing: Writing, there: list[Record]) -> None:
    """Acknowledged events are there, once unless they were sent again, and each writer's in their order."""
    counted = Counter(record.value for record in there)
    assert counted.keys() == writing.acknowledged.keys()
    assert {value for value, times in counted.items() if times > 1} <= writing.unknown
    assert {record.position: record.value for record in there}.items() >= {
        (position, value) for value, position in writing.acknowledged.items()
    }
    events = list(counted)  # each where it stands first
    for name in {value.partition(b":")[0] for value in events}:
        numbers = [int(value.partition(b":")[2]) for value in events if value.startswith(name + b":")]
        assert numbers == list(range(len(numbers)))


async def more_of(writing: Writing) -> None:
    """Wait until a hundred more are acknowledged."""
    before = len(writing.acknowledged)
    await until(lambda: len(writing.acknowledged) > before + 100, timeout=BACK)


async def test_row_13_topics_that_nobody_said_more_of_have_three_copies_and_fewer_are_told(
    three: ThreeBrokers,
) -> None:
    async with opened(three) as log, opened(three, replication=1) as alone:
        cluster = Cluster(log.settings)
        (state,) = await cluster.topics(["tasks"])
        assert (state.replication, state.config["min.insync.replicas"]) == (3, "2")
        assert findings([state], await cluster.brokers()) == []
        (other,) = await Cluster(alone.settings).topics(["tasks"])
        (finding,) = findings([other], await cluster.brokers())
        assert "has 1 of the 3 copies" in finding.text
        assert not finding.fatal


async def test_row_13_the_broker_that_leads_dies_and_appends_go_on(three: ThreeBrokers) -> None:
    async with opened(three) as log, written(log) as writing:
        leader = await leader_of(log)
        three.brokers[leader].kill()
        died = time.monotonic()
        await more_of(writing)
        assert time.monotonic() - died < scaled(TAKEN_OVER)
        assert await leader_of(log) != leader
        await until(log.ready, timeout=TAKEN_OVER)
        await asyncio.to_thread(three.start, [leader])
        await more_of(writing)


async def test_row_13_without_two_of_three_brokers_appends_are_refused_in_time_and_readiness_is_red(
    three: ThreeBrokers,
) -> None:
    async with opened(three) as log, written(log) as writing:
        leader = await leader_of(log)
        lost = [leader, next(number for number in three.brokers if number != leader)]
        for number in lost:
            three.brokers[number].kill()
        before = writing.refusals
        await until(lambda: writing.refusals >= before + 4, timeout=4 * GIVEN_UP)
        acknowledged = len(writing.acknowledged)
        # Long enough for the one that is left to be found, and to answer questions.
        away = time.monotonic() + 30
        while time.monotonic() < away:
            assert not await log.ready()
            await asyncio.sleep(0.1)
        assert len(writing.acknowledged) == acknowledged
        assert writing.longest < 3 * GIVEN_UP
        await asyncio.to_thread(three.start, lost[:1])
        await until(log.ready, timeout=BACK)
        await more_of(writing)
        await asyncio.to_thread(three.start, lost[1:])
        await more_of(writing)
