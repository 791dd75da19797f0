"""Kafka's errors in the port's terms."""

from confluent_kafka import KafkaError

from funcledger_event_log.port import (
    LogError,
    LogUnavailable,
    OutcomeUnknown,
    PositionGone,
    RecordTooLarge,
    UnknownPartition,
)

_UNKNOWN_PARTITION = {
    KafkaError.UNKNOWN_TOPIC_OR_PART,
    KafkaError._UNKNOWN_PARTITION,
    KafkaError._UNKNOWN_TOPIC,
}
#: The record may have reached the broker, or reach it yet.
_UNKNOWN_OUTCOME = {
    KafkaError._MSG_TIMED_OUT,
    KafkaError._TIMED_OUT,
    KafkaError._TRANSPORT,
    KafkaError.REQUEST_TIMED_OUT,
    KafkaError.NOT_ENOUGH_REPLICAS_AFTER_APPEND,
    KafkaError._PURGE_INFLIGHT,
    KafkaError._FATAL,
    KafkaError.DUPLICATE_SEQUENCE_NUMBER,
}


def translate(error: KafkaError) -> LogError:
    """The port's error for one of Kafka's."""
    code, text = error.code(), error.str()
    if code in _UNKNOWN_PARTITION:
        return UnknownPartition(text)
    if code == KafkaError.MSG_SIZE_TOO_LARGE:
        return RecordTooLarge(text)
    if code in (KafkaError.OFFSET_OUT_OF_RANGE, KafkaError._AUTO_OFFSET_RESET):
        return PositionGone(text)
    if code in _UNKNOWN_OUTCOME or error.fatal():
        return OutcomeUnknown(f"the broker did not say where it is: {text}")
    return LogUnavailable(text)


def worst(errors: list[KafkaError], appended: int) -> LogError:
    """What to tell the writer of a request of which some records failed and ``appended`` did not."""
    told = [translate(error) for error in errors]
    if appended or any(isinstance(error, OutcomeUnknown) for error in told):
        return OutcomeUnknown(
            f"{len(errors)} of {len(errors) + appended} records are not known to be appended: {told[0]}"
        )
    return told[0]
