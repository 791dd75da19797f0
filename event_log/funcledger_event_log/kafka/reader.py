"""What the client library's consumers need: to hear of topics, and to have their messages made records."""

from collections.abc import Iterable, Mapping
from operator import itemgetter
from typing import Any, cast

from confluent_kafka import Consumer, KafkaError, KafkaException, Message

from funcledger_event_log.kafka.admin import ANSWER_TIMEOUT
from funcledger_event_log.kafka.errors import translate
from funcledger_event_log.port import LogUnavailable
from funcledger_event_log.records import Record
from funcledger_schemas.envelope import Headers

_VALUE = itemgetter(1)

#: What the client library gets over by itself while the broker is away.
_PASSING = {
    KafkaError._ALL_BROKERS_DOWN,
    KafkaError._TRANSPORT,
    KafkaError._TIMED_OUT,
    KafkaError._RESOLVE,
    KafkaError.LEADER_NOT_AVAILABLE,
    KafkaError.NOT_LEADER_FOR_PARTITION,
    # A new topic is not known to every broker at once.
    KafkaError.UNKNOWN_TOPIC_OR_PART,
    KafkaError._UNKNOWN_PARTITION,
}


def consumer(settings: Mapping[str, Any]) -> Consumer:
    """One of these settings.

    Raises:
        LogUnavailable: none can be made just now, as while a certificate is replaced.
    """
    try:
        return Consumer(dict(settings))
    except KafkaException as error:
        raise LogUnavailable(f"no client can be made: {error.args[0].str()}") from error


class Introduced:
    """The topics a consumer has heard of; of others it would take a second to notice where they are."""

    def __init__(self, consumer: Consumer) -> None:
        self._consumer = consumer
        self._topics: set[str] = set()

    def introduce(self, topics: Iterable[str]) -> None:
        """Have it look for those that are new to it; blocks.

        Raises:
            LogUnavailable: the broker did not answer.
        """
        for topic in set(topics) - self._topics:
            try:
                self._consumer.list_topics(topic, ANSWER_TIMEOUT)
            except KafkaException as error:
                raise LogUnavailable(f"the broker could not be asked about {topic}: {error}") from error
            self._topics.add(topic)


def drain(consumer: Consumer, prefix: str, patience: float, most: int = 1000) -> list[Record]:
    """What is there; waits up to ``patience`` seconds, for the first message alone.

    Raises:
        LogError: what the client library does not get over by itself.
    """
    first = consumer.poll(patience)
    if first is None:
        return []
    messages = [first, *(consumer.consume(most - 1, 0) if most > 1 else ())]
    return [_record(message, len(prefix)) for message in messages if _good(message)]


def _good(message: Message) -> bool:
    error = message.error()
    if error is None:
        return True
    if error.code() in _PASSING:
        return False
    raise translate(error)


def _record(message: Message, prefix: int) -> Record:
    """``prefix`` is the length of what the topic's name begins with."""
    _, timestamp = message.timestamp()
    topic, partition, offset = message.topic(), message.partition(), message.offset()
    assert topic is not None
    assert partition is not None
    assert offset is not None
    key, value = message.key() or b"", message.value() or b""
    return Record(topic[prefix:], partition, offset, timestamp, key, _headers(message), value)


def _headers(message: Message) -> Headers:
    """As the client library made them: there are ten of a record, so making them anew is felt."""
    given = cast("list[tuple[str, bytes | None]]", message.headers() or [])
    if None in map(_VALUE, given):
        return tuple((name, value or b"") for name, value in given)
    return cast("Headers", tuple(given))
