"""Whatever is appended to it, the log on Kafka answers as the one in memory."""

import asyncio
import itertools
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.support import parts
from tests.support.logs import at, collect

from funcledger_event_log.kafka import KafkaLog, KafkaSettings
from funcledger_event_log.memory import MemoryLog
from funcledger_event_log.port import EventLog
from funcledger_event_log.records import NewRecord, Position, Record
from funcledger_schemas.ids import new_id

pytestmark = pytest.mark.distributed

PARTITIONS = 3
_numbers = st.integers(0, PARTITIONS - 1)
_values = st.binary(max_size=20) | st.integers(60_000, 140_000).map(lambda size: b"v" * size)
_headers = st.lists(st.tuples(st.sampled_from(["ce_id", "ce_type", "é"]), st.binary(max_size=4)), max_size=4)
#: What is appended together: a record of each (partition, key, headers, value), so many times over.
_appends = st.lists(
    st.tuples(
        st.lists(st.tuples(_numbers, st.binary(max_size=3), _headers.map(tuple), _values), max_size=4),
        st.integers(1, 30),
    ),
    max_size=6,
)
_asked = st.lists(st.tuples(_numbers, st.integers(0, 200)), max_size=10)
_topics = (f"topic{number}" for number in itertools.count())


@pytest.fixture(scope="module")
def runner() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as runner:
        yield runner


@pytest.fixture(scope="module")
def kafka(runner: asyncio.Runner) -> Iterator[KafkaLog]:
    async def made() -> KafkaLog:
        return KafkaLog(KafkaSettings(parts.kafka().address, prefix=f"t{new_id()}."))

    log = runner.run(made())
    yield log
    runner.run(log.close())


@given(appends=_appends, asked=_asked, starts=st.dictionaries(_numbers, st.integers(0, 100), min_size=1))
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_both_logs_give_the_same_answers(
    runner: asyncio.Runner,
    kafka: KafkaLog,
    appends: list[Any],
    asked: list[tuple[int, int]],
    starts: dict[int, int],
) -> None:
    topic = next(_topics)
    answers = [runner.run(_answers(log, topic, appends, asked, starts)) for log in (MemoryLog(), kafka)]
    assert answers[0] == answers[1]


async def _answers(
    log: EventLog, topic: str, appends: list[Any], asked: list[tuple[int, int]], starts: dict[int, int]
) -> list[Any]:
    """Everything the log says when this is done to it."""
    await log.create_topic(topic, PARTITIONS)
    told: list[Any] = []
    for records, times in appends:
        new = [NewRecord(topic, number, key, headers, value) for number, key, headers, value in records]
        told.append(await log.append(new * times))
    ends = await log.ends(topic)
    start = {at(number, topic): min(offset, ends[number]) for number, offset in starts.items()}
    there = sum(ends[where.partition] - offset for where, offset in start.items())
    found = await collect(log, start, there) if there else []
    read = await log.read([Position(topic, *position) for position in asked])
    return [*told, ends, sorted(map(_told, found)), [record and _told(record) for record in read]]


def _told(record: Record) -> tuple[Any, ...]:
    """What must be equal: everything but the time."""
    return (record.position, record.key, record.headers, record.value)
