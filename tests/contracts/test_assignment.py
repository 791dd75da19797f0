"""What every ``Assignment`` promises: by one process alone, and by a consumer group on the real broker."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from confluent_kafka import Consumer
from tests.support import parts
from tests.support.deadlines import scaled
from tests.support.fatal import astray
from tests.support.poll import until

from funcledger_event_log.assignment import Assignment, Everything
from funcledger_event_log.kafka import KafkaLog, KafkaSettings, group
from funcledger_event_log.kafka.group import Group
from funcledger_schemas.ids import new_id

PARTITIONS = 4
Member = Callable[[], Assignment]


@pytest.fixture(params=["everything", pytest.param("kafka", marks=pytest.mark.distributed)])
async def member(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Member]:
    """Makes members of one group."""
    if request.param == "everything":
        yield Everything
        return
    settings = KafkaSettings(parts.kafka().address, prefix=f"t{new_id()}.")
    log = KafkaLog(settings)
    await log.create_topic("tasks", PARTITIONS)
    yield lambda: Group(settings, "projectors")
    await log.close()


async def test_one_alone_has_everything_until_it_leaves(member: Member) -> None:
    alone = member()
    await alone.join()
    async with asyncio.timeout(scaled(20)), alone.hold() as share:
        assert all(number in share for number in range(PARTITIONS))
        assert not share.over.is_set()
    await alone.leave()


@pytest.mark.distributed
class TestGroup:
    """What only several can show."""

    @pytest.fixture
    async def settings(self) -> AsyncIterator[KafkaSettings]:
        settings = KafkaSettings(parts.kafka().address, prefix=f"t{new_id()}.")
        log = KafkaLog(settings)
        await log.create_topic("tasks", PARTITIONS)
        yield settings
        await log.close()

    async def test_nobody_is_given_what_another_still_holds(self, settings: KafkaSettings) -> None:
        first, second = Group(settings, "projectors"), Group(settings, "projectors")
        await first.join()
        async with asyncio.timeout(scaled(40)):
            async with first.hold() as share:
                await second.join()
                await share.over.wait()
                # The group waits for us, and the other has nothing meanwhile.
                await asyncio.sleep(1.0)
                assert second.share.numbers == frozenset()
            async with first.hold() as mine, second.hold() as others:
                assert mine.numbers is not None
                assert others.numbers is not None
                assert mine.numbers | others.numbers == frozenset(range(PARTITIONS))
                assert not mine.numbers & others.numbers
            await first.leave()
            await until(lambda: second.share.numbers == frozenset(range(PARTITIONS)), 20)
            await second.leave()
            assert second.share.numbers == frozenset()

    async def test_new_partitions_are_given_out_too(self, settings: KafkaSettings) -> None:
        alone = Group(settings, "projectors")
        await alone.join()
        log = KafkaLog(settings)
        async with asyncio.timeout(scaled(40)), alone.hold() as share:
            await log.create_topic("tasks", PARTITIONS + 2)
            await share.over.wait()
        await until(lambda: alone.share.numbers == frozenset(range(PARTITIONS + 2)), 20)
        await alone.leave()
        await log.close()

    async def test_a_member_whose_client_has_lost_the_cluster_for_good_begins_anew(
        self, settings: KafkaSettings, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(group, "ANEW", 5.0)
        monkeypatch.setattr(group, "Consumer", astray(Consumer))
        member = Group(settings, "projectors")
        await member.join()
        async with asyncio.timeout(scaled(30)), member.hold() as share:
            assert share.numbers == frozenset(range(PARTITIONS))
        await member.leave()
