"""What every log refuses before it writes anything, said the same way by each adapter."""

from collections.abc import Mapping, Sequence

from funcledger_event_log.port import PositionGone, RecordTooLarge, UnknownPartition
from funcledger_event_log.records import NewRecord, TopicPartition
from funcledger_schemas.limits import RECORD_LIMIT

METADATA_LIMIT = 4096


def unknown(where: TopicPartition) -> UnknownPartition:
    """The error for a topic or partition that does not exist."""
    return UnknownPartition(f"there is no partition {where.partition} of topic {where.topic!r}")


def check_sizes(records: Sequence[NewRecord]) -> int:
    """Bytes of all records together; raises RecordTooLarge when one is over the limit."""
    sizes = [record.size() for record in records]
    if (largest := max(sizes, default=0)) > RECORD_LIMIT:
        raise RecordTooLarge(f"a record of {largest} bytes is over the limit of {RECORD_LIMIT}")
    return sum(sizes)


def check_start(start: Mapping[TopicPartition, int], lowest: Mapping[TopicPartition, int]) -> None:
    """Raise for a partition that does not exist, or an offset that is no longer kept."""
    for where, offset in start.items():
        if where not in lowest:
            raise unknown(where)
        if offset < lowest[where]:
            raise PositionGone(f"offset {offset} of {where} is gone; the log begins at {lowest[where]}")


def check_metadata(metadata: str) -> None:
    """Raise ValueError for metadata Kafka would not take either."""
    if len(metadata.encode()) >= METADATA_LIMIT:
        raise ValueError(f"a position's metadata must stay under {METADATA_LIMIT} bytes")
