"""The topics of a deployment on Kafka: made, grown, and checked before anything is started."""

import logging

from funcledger_compose.on_kafka import usable_kafka_settings
from funcledger_compose.settings import Settings, SettingsError
from funcledger_event_log.kafka.admin import Admin
from funcledger_event_log.kafka.cluster import Cluster, Finding, TopicState, findings
from funcledger_event_log.kafka.positions import POSITIONS
from funcledger_event_log.kafka.topics import Topics
from funcledger_schemas.envelope import BY_ENDPOINT, TOPICS

_log = logging.getLogger(__name__)

#: An endpoint may be given a partition as soon as ``tasks`` has it, so that one grows last.
_ORDER = sorted(TOPICS, key=lambda topic: topic == "tasks")


async def make(settings: Settings, partitions: int) -> None:
    """Make what is missing and grow what has fewer partitions; nobody's partition changes.

    Raises:
        SettingsError: no client can be made with these settings.
        LogUnavailable: the cluster cannot be reached, or refuses.
    """
    known = usable_kafka_settings(settings)
    topics = Topics(known, Admin(known))
    for topic in _ORDER:
        await topics.create(topic, partitions if topic in BY_ENDPOINT else 1)
    await topics.create(POSITIONS, 1)


async def look(settings: Settings) -> tuple[list[TopicState], list[Finding]]:
    """Every topic, and what does not suit us.

    Raises:
        SettingsError: no client can be made with these settings.
        LogUnavailable: the cluster cannot be reached.
    """
    cluster = Cluster(usable_kafka_settings(settings))
    states = await cluster.topics((*TOPICS, POSITIONS))
    missing = [state for state in states if not state.partitions]
    # Positions are made by whoever keeps the first one, if it may.
    found = [
        Finding(f"there is no topic {state.name}; make it: funcledger topics create", state.topic in TOPICS)
        for state in missing
    ]
    there = [state for state in states if state.partitions]
    return states, found + findings(there, await cluster.brokers())


async def check(settings: Settings) -> None:
    """Say what could be better, and refuse what would go wrong.

    Raises:
        SettingsError: the topics are not fit for use.
        LogUnavailable: the cluster cannot be reached now.
    """
    _, found = await look(settings)
    for finding in found:
        if not finding.fatal:
            _log.warning("%s", finding.text)
    if fatal := [finding.text for finding in found if finding.fatal]:
        raise SettingsError("; ".join(fatal))
