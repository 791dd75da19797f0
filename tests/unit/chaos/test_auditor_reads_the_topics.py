"""The auditor reads topics of the real broker as the product does, by none of its code."""

from concurrent.futures import wait
from pathlib import Path

import pytest
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient
from tests.chaos.auditor.facts import Damaged, facts_of
from tests.chaos.auditor.kafka import records
from tests.support import parts
from tests.support.golden import golden_expected, golden_records, versions
from tests.support.logs import kafka

from funcledger_event_log.kafka import KafkaLog
from funcledger_event_log.records import NewRecord
from funcledger_schemas.envelope import BY_ENDPOINT, TOPICS

pytestmark = pytest.mark.distributed


async def written(folder: Path, version: str) -> str:
    """The prefix of topics that hold what a release wrote and can be read."""
    found = zip(golden_records(version), golden_expected(version), strict=True)
    given = [record for record, meaning in found if "unreadable" not in meaning]
    async with kafka(folder) as log:
        assert isinstance(log, KafkaLog)
        for topic in TOPICS:
            await log.create_topic(topic, 64 if topic in BY_ENDPOINT else 1)
        await log.append(
            [NewRecord(each.topic, each.partition, each.key, each.headers, each.value) for each in given]
        )
        return log.settings.prefix


@pytest.mark.parametrize("version", versions())
async def test_facts_are_those_that_were_written_and_a_missing_one_is_found(
    tmp_path: Path, version: str
) -> None:
    prefix = await written(tmp_path, version)
    address = parts.kafka().address
    read = list(records(address, prefix))
    expected = golden_expected(version)
    assert len(read) == len([each for each in expected if "unreadable" not in each])
    golden = {(each.topic, each.key, each.value): each.headers for each in golden_records(version)}
    assert all(golden[raw.topic, raw.key, raw.value] == raw.headers for raw in read)
    assert {fact["event_id"] for fact in facts_of(read)} == {
        record.event().event_id
        for record, meaning in zip(golden_records(version), expected, strict=True)
        if "unreadable" not in meaning
    }
    first = next(raw for raw in read if raw.topic == "tasks")
    gone = TopicPartition(prefix + "tasks", first.partition, 1)
    admin = AdminClient({"bootstrap.servers": address})
    wait(admin.delete_records([gone]).values())
    with pytest.raises(Damaged, match=f"tasks/{first.partition}:0 cannot be read"):
        list(records(address, prefix))
