"""Law 1 on Kafka: what the client library calls delivered is acknowledged only with its offset."""

from collections.abc import Callable
from typing import Any, cast

import pytest
from confluent_kafka import (
    TIMESTAMP_CREATE_TIME,
    TIMESTAMP_LOG_APPEND_TIME,
    KafkaError,
    Message,
    Producer,
)
from tests.support.logs import new

from funcledger_event_log.kafka import KafkaSettings
from funcledger_event_log.kafka.producer import Writer
from funcledger_event_log.port import LogError, LogUnavailable, OutcomeUnknown

Answer = tuple[KafkaError | None, int | None]


class _Report:
    """What the client library hands to a delivery report."""

    def __init__(self, offset: int | None, stamped: int = TIMESTAMP_LOG_APPEND_TIME) -> None:
        self._offset, self._stamped = offset, stamped

    def offset(self) -> int | None:
        return self._offset

    def timestamp(self) -> tuple[int, int]:
        return self._stamped, 1_800_000_000_000


class _Answering:
    """A producer that answers each record at once, as it is told to."""

    def __init__(self, answers: list[Answer], stamped: int = TIMESTAMP_LOG_APPEND_TIME) -> None:
        self._answers, self._stamped = iter(answers), stamped

    def produce(self, _topic: str, *, on_delivery: Callable[..., None], **_record: Any) -> None:
        error, offset = next(self._answers)
        on_delivery(error, cast("Message", _Report(offset, self._stamped)))

    def poll(self, _patience: float) -> int:
        return 0

    def flush(self, _patience: float) -> int:
        return 0


def _writer(answers: list[Answer], stamped: int = TIMESTAMP_LOG_APPEND_TIME) -> Writer:
    producer = cast("Producer", _Answering(answers, stamped))
    return Writer(KafkaSettings("nowhere:1"), lambda _settings: producer)


@pytest.mark.parametrize(
    ("answers", "told"),
    [
        # The library infers that the second is there, which it need not be.
        ([(None, 7), (None, None)], OutcomeUnknown),
        ([(None, None), (None, None)], OutcomeUnknown),
        ([(None, 7), (KafkaError(KafkaError._PURGE_QUEUE), None)], OutcomeUnknown),
        ([(KafkaError(KafkaError._PURGE_QUEUE), None)] * 2, LogUnavailable),
        ([(KafkaError(KafkaError._MSG_TIMED_OUT), None)] * 2, OutcomeUnknown),
    ],
)
async def test_a_record_without_an_offset_is_never_acknowledged(
    answers: list[Answer], told: type[LogError]
) -> None:
    writer = _writer(answers)
    try:
        with pytest.raises(told):
            await writer.append([new(b"a"), new(b"b")], 2)
    finally:
        writer.close()


@pytest.mark.parametrize(
    ("answer", "stamped", "told"),
    [
        ((None, 7), TIMESTAMP_CREATE_TIME, "set message.timestamp.type=LogAppendTime"),
        # The library infers that it is there, with the time that it gave it itself.
        ((None, None), TIMESTAMP_CREATE_TIME, "nobody knows where"),
        ((KafkaError(KafkaError._PURGE_QUEUE), None), TIMESTAMP_LOG_APPEND_TIME, "[Pp]urged"),
    ],
)
async def test_row_18_a_time_that_is_not_the_brokers_is_never_taken_for_it(
    answer: Answer, stamped: int, told: str
) -> None:
    writer = _writer([answer], stamped)
    try:
        with pytest.raises(LogError, match=told):
            await writer.stamp(new(b"a"), 1)
    finally:
        writer.close()


async def test_row_18_the_brokers_stamp_is_the_logs_time() -> None:
    writer = _writer([(None, 7)])
    try:
        assert await writer.stamp(new(b"a"), 1) == 1_800_000_000_000
    finally:
        writer.close()
