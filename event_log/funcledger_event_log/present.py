"""Where the log ends just now, as a position token."""

from collections.abc import Iterable

from funcledger_event_log.port import EventLog
from funcledger_event_log.records import Token, TopicPartition


async def present(log: EventLog, topics: Iterable[str]) -> Token:
    """The token of somebody who has seen all that is in these topics.

    Raises:
        LogUnavailable: the log could not be asked.
    """
    ends = Token()
    for topic in topics:
        for partition, end in (await log.ends(topic)).items():
            ends.advance(TopicPartition(topic, partition), end)
    return ends
