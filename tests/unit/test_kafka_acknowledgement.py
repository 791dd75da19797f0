"""Law 1 on Kafka: what the client library calls delivered is acknowledged only with its offset."""

from collections.abc import Callable
from typing import Any, cast

import pytest
from confluent_kafka import KafkaError, Message, Producer
from tests.support.logs import new

from funcledger_event_log.kafka import KafkaSettings
from funcledger_event_log.kafka.producer import Writer
from funcledger_event_log.port import LogError, LogUnavailable, OutcomeUnknown

Answer = tuple[KafkaError | None, int | None]


class _Report:
    """What the client library hands to a delivery report."""

    def __init__(self, offset: int | None) -> None:
        self._offset = offset

    def offset(self) -> int | None:
        return self._offset


class _Answering:
    """A producer that answers each record at once, as it is told to."""

    def __init__(self, answers: list[Answer]) -> None:
        self._answers = iter(answers)

    def produce(self, _topic: str, *, on_delivery: Callable[..., None], **_record: Any) -> None:
        error, offset = next(self._answers)
        on_delivery(error, cast("Message", _Report(offset)))

    def poll(self, _patience: float) -> int:
        return 0

    def flush(self, _patience: float) -> int:
        return 0


def _writer(answers: list[Answer]) -> Writer:
    producer = cast("Producer", _Answering(answers))
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
