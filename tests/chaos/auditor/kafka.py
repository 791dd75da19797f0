"""Reads the topics with a plain Kafka consumer, partition by partition, as any other tool would."""

import time
from collections.abc import Iterator
from contextlib import closing

from confluent_kafka import TIMESTAMP_LOG_APPEND_TIME, Consumer, KafkaException, Message, TopicPartition
from tests.chaos.auditor.facts import Damaged, Raw

#: A topic beside the log: endpoints' positions, which are no events.
_BESIDE = "positions"
#: Seconds without a record after which one is missing.
_PATIENCE = 60.0


def records(bootstrap: str, prefix: str) -> Iterator[Raw]:
    """Every record of the topics whose names begin with ``prefix``, which no name here keeps.

    Raises:
        Damaged: a gap, a record that does not come, or one that was not stamped by the broker.
    """
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": "chaos-auditor",
            "enable.auto.commit": False,
            "auto.offset.reset": "error",
        }
    )
    with closing(consumer):
        for at, end in _ends(consumer, prefix):
            consumer.assign([at])
            topic = at.topic.removeprefix(prefix)
            for expected in range(end):
                yield _raw(_next(consumer, f"{topic}/{at.partition}:{expected}"), topic, expected)


def _ends(consumer: Consumer, prefix: str) -> list[tuple[TopicPartition, int]]:
    """Every partition that has records, in order, from its first offset to its end."""
    topics = consumer.list_topics(timeout=_PATIENCE).topics
    names = sorted(each for each in topics if each.startswith(prefix) and each != prefix + _BESIDE)
    wheres = [TopicPartition(name, number, 0) for name in names for number in sorted(topics[name].partitions)]
    found = [(at, _end(consumer, at)) for at in wheres]
    return [(at, end) for at, end in found if end]


def _end(consumer: Consumer, at: TopicPartition) -> int:
    """Asked again while a broker that has just started does not lead yet."""
    deadline = time.monotonic() + _PATIENCE
    while True:
        try:
            _, end = consumer.get_watermark_offsets(at, timeout=_PATIENCE)
        except KafkaException:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)
        else:
            return end


def _next(consumer: Consumer, where: str) -> Message:
    deadline = time.monotonic() + _PATIENCE
    while time.monotonic() < deadline:
        message = consumer.poll(1.0)
        if message is None:
            continue
        error = message.error()
        if error is None:
            return message
        if not error.retriable():
            raise Damaged(f"the record at {where} cannot be read: {error}")
    raise Damaged(f"the record at {where} does not come")


def _raw(message: Message, topic: str, expected: int) -> Raw:
    partition, offset, key, value = message.partition(), message.offset(), message.key(), message.value()
    where = f"{topic}/{partition}:{expected}"
    if offset != expected or partition is None:
        raise Damaged(f"a gap: in the place of {where} comes offset {offset}")
    kind, timestamp = message.timestamp()
    if kind != TIMESTAMP_LOG_APPEND_TIME:
        raise Damaged(f"the record at {where} was not stamped when it was appended")
    if not isinstance(key, bytes) or not isinstance(value, bytes):
        raise Damaged(f"the record at {where} has no key or no value")
    return Raw(topic, partition, offset, timestamp, key, _headers(message), value)


def _headers(message: Message) -> tuple[tuple[str, bytes], ...]:
    found: list[tuple[str, bytes]] = list(message.headers() or [])  # type: ignore[arg-type]  # they are
    return tuple(found)
