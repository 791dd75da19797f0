"""How a cluster keeps our topics, and what of that does not suit us: looked at before a service starts."""

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from confluent_kafka import TopicCollection
from confluent_kafka.admin import ConfigResource, ResourceType  # type: ignore[attr-defined]

from funcledger_event_log.kafka.admin import Admin
from funcledger_event_log.kafka.positions import POSITIONS
from funcledger_event_log.kafka.settings import COPIES, MESSAGE_BYTES, KafkaSettings
from funcledger_event_log.port import UnknownPartition

#: Topics that are folded from their first record by every process: nothing of them may expire.
_WHOLE = frozenset({"functions", "endpoints"})


@dataclass(frozen=True, slots=True)
class TopicState:
    """A topic as the cluster has it; ``partitions`` 0 when it is not there. ``config`` in Kafka's names."""

    topic: str
    name: str
    partitions: int
    replication: int
    config: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that does not suit us, and what to do; ``fatal`` when nothing should be started so."""

    text: str
    fatal: bool


class Cluster:
    """Asks a cluster about itself."""

    def __init__(self, settings: KafkaSettings) -> None:
        self._settings = settings
        self._admin = Admin(settings)

    async def topics(self, topics: Iterable[str]) -> list[TopicState]:
        """How each of these topics is.

        Raises:
            LogUnavailable: the cluster cannot be asked.
        """
        return list(await asyncio.gather(*map(self._topic, topics)))

    async def brokers(self) -> int:
        """How many brokers there are now.

        Raises:
            LogUnavailable: the cluster cannot be asked.
        """
        return await self._admin.brokers()

    async def _topic(self, topic: str) -> TopicState:
        name = self._settings.topic(topic)
        try:
            found = await self._admin.ask(
                lambda admin, timeout: admin.describe_topics(
                    TopicCollection([name]), request_timeout=timeout
                )[name]
            )
        except UnknownPartition:
            return TopicState(topic, name, 0, 0, {})
        replication = min(len(partition.replicas) for partition in found.partitions)
        config = await self._config(ResourceType.TOPIC, name)
        return TopicState(topic, name, len(found.partitions), replication, config)

    async def _config(self, kind: Any, name: str) -> dict[str, str]:
        resource = ConfigResource(kind, name)
        found = await self._admin.ask(
            lambda admin, timeout: admin.describe_configs([resource], request_timeout=timeout)[resource]
        )
        return {key: entry.value for key, entry in found.items() if entry.value is not None}


def findings(states: Iterable[TopicState], brokers: int) -> list[Finding]:
    """What does not suit us of topics that are there, in a cluster of so many brokers."""
    return [finding for state in states for finding in _of_topic(state, brokers)]


def _of_topic(state: TopicState, brokers: int) -> list[Finding]:
    own = _of_positions(state) if state.topic == POSITIONS else _of_events(state)
    checks = [*own, *_of_any(state, brokers)]
    return [Finding(text, fatal) for wrong, text, fatal in checks if wrong]


#: Whether something is wrong, what, and whether nothing should be started so.
_Check = tuple[bool, str, bool]


def _of_events(state: TopicState) -> list[_Check]:
    config, name = state.config, state.name
    kept = int(config.get("retention.ms", -1))
    return [
        (
            int(config.get("max.message.bytes", MESSAGE_BYTES)) < MESSAGE_BYTES,
            f"{name} takes records of up to {config.get('max.message.bytes')} bytes, and ours may have "
            f"{MESSAGE_BYTES}; set max.message.bytes={MESSAGE_BYTES}",
            True,
        ),
        (
            "compact" in config.get("cleanup.policy", ""),
            f"{name} is compacted, which removes events; set cleanup.policy=delete",
            True,
        ),
        (
            state.topic in _WHOLE and kept >= 0,
            f"{name} expires after {kept} ms, and is read from its beginning; set retention.ms=-1",
            True,
        ),
    ]


def _of_positions(state: TopicState) -> list[_Check]:
    """Of a topic whose records are small, and of which only the newest of each key count."""
    policy = state.config.get("cleanup.policy", "compact")
    return [
        (
            policy != "compact",
            f"{state.name} has cleanup.policy={policy}, so it only grows, or forgets where an idle endpoint "
            "stands; set cleanup.policy=compact",
            False,
        )
    ]


def _of_any(state: TopicState, brokers: int) -> list[_Check]:
    config, name, copies = state.config, state.name, min(COPIES, brokers)
    return [
        (
            config.get("message.timestamp.type", "LogAppendTime") != "LogAppendTime",
            f"{name} keeps the writer's time; set message.timestamp.type=LogAppendTime",
            True,
        ),
        (
            state.replication < copies,
            f"{name} has {state.replication} of the {copies} copies that {brokers} brokers can keep; add the "
            "others with kafka-reassign-partitions.sh (docs/production.md, Topics)",
            False,
        ),
        (
            # Of two copies one may be away: with both in sync, losing one would stop every append.
            state.replication > 2 and int(config.get("min.insync.replicas", 1)) < 2,
            f"{name} acknowledges what one broker alone has; set min.insync.replicas=2",
            False,
        ),
    ]
