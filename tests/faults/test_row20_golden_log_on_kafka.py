"""Row 20: what any release wrote, found on Kafka as its bytes stood, folds into MongoDB as it was meant."""

import json
from itertools import groupby

import pytest
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic
from tests.golden.record_read_models import lines_of
from tests.support import parts
from tests.support.deadlines import scaled
from tests.support.folding import caught_up, projecting
from tests.support.golden import GOLDEN, golden_records, versions
from tests.support.stores import dropped, mongo_address

from funcledger_event_log.kafka import KafkaLog, KafkaSettings
from funcledger_event_log.kafka.importing import Importer
from funcledger_event_log.records import Position, Record
from funcledger_read_models.mongo import MongoStore
from funcledger_schemas.envelope import BY_ENDPOINT, TOPICS
from funcledger_schemas.ids import new_id

pytestmark = pytest.mark.distributed


def make_topics(settings: KafkaSettings) -> None:
    """As the product has them, but keeping the times and heartbeats of a release of long ago."""
    config = {"message.timestamp.type": "CreateTime", "retention.ms": "-1"}
    new = [
        NewTopic(settings.topic(topic), 8 if topic in BY_ENDPOINT else 1, 1, config=config)
        for topic in TOPICS
    ]
    admin = AdminClient({"bootstrap.servers": settings.bootstrap})
    for made in admin.create_topics(new).values():
        made.result(scaled(30))


@pytest.mark.parametrize("version", versions())
async def test_row20_a_releases_log_on_kafka_folds_into_mongo_as_the_documents_written_down(
    version: str,
) -> None:
    settings = KafkaSettings(parts.kafka().address, prefix=f"t{new_id()}.")
    make_topics(settings)
    importer, records = Importer(settings), golden_records(version)
    by_partition = sorted(records, key=lambda each: each.position)
    for _, there in groupby(by_partition, key=lambda each: (each.topic, each.partition)):
        await importer.write(list(there))
    log, store = KafkaLog(settings), await MongoStore.open(mongo_address(), new_id())
    try:
        found = await log.read([Position(each.topic, each.partition, each.offset) for each in records])
        assert [_told(each) for each in found] == [_told(each) for each in records], "to the byte"
        letters = await log.ends("dead_letters")
        async with projecting(log, store, rebuild=True) as projector:
            await caught_up(projector, 60)
        folded = await lines_of(store)
        assert await log.ends("dead_letters") == letters
    finally:
        await dropped(store)
        await log.close()
    text = (GOLDEN / version / "read_models.jsonl").read_text(encoding="utf-8")
    expected = [json.loads(line) for line in text.splitlines()]
    models = {each["model"] for each in expected}
    folded = [each for each in folded if each["model"] in models]  # a later release may have added some
    assert [each["model"] for each in folded] == [each["model"] for each in expected]
    for document, meant in zip(folded, expected, strict=True):
        # A later release may have added fields; those written down must be as they were.
        known = {name: document["document"][name] for name in meant["document"]}
        assert known == meant["document"], meant["model"]


def _told(record: Record | None) -> tuple[object, ...]:
    assert record is not None
    return record.position, record.timestamp, record.key, record.headers, record.value
