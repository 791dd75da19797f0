"""Topics as the cluster has them: made explicitly, grown, and asked for their ends."""

import asyncio
from collections.abc import Mapping
from types import MappingProxyType

from confluent_kafka import KafkaError, TopicCollection
from confluent_kafka import TopicPartition as KafkaPartition
from confluent_kafka.admin import OffsetSpec  # type: ignore[attr-defined]
from confluent_kafka.cimpl import NewPartitions, NewTopic

from funcledger_event_log.kafka.admin import Admin
from funcledger_event_log.kafka.settings import KafkaSettings
from funcledger_event_log.port import LogUnavailable, UnknownPartition

#: Seconds until a new topic must be known everywhere.
_PATIENCE = 10.0
#: A topic's settings, where nothing is to be different.
_AS_OURS: Mapping[str, str] = MappingProxyType({})


async def make(
    settings: KafkaSettings, admin: Admin, topic: str, partitions: int, config: Mapping[str, str] = _AS_OURS
) -> None:
    """Make the topic, unless it is there, with ``config`` in place of ours, in Kafka's names.

    Raises:
        LogUnavailable: the cluster cannot be reached, or refuses.
    """
    name, copies = settings.topic(topic), settings.copies(await admin.brokers())
    new = NewTopic(name, partitions, copies, config=settings.topic_config(topic, copies) | dict(config))
    await admin.tell(lambda client: client.create_topics([new])[name], KafkaError.TOPIC_ALREADY_EXISTS)


class Topics:
    """What can be asked and told about topics."""

    def __init__(self, settings: KafkaSettings, admin: Admin) -> None:
        self._settings = settings
        self._admin = admin

    async def create(self, topic: str, partitions: int) -> None:
        """Make the topic, or grow it; others may do the same at the same time."""
        present = await self.partitions(topic)
        if present == 0:
            await self._create(topic, partitions)
            present = await self._until_there(topic, 1)
        if present < partitions:
            await self._grow(self._settings.topic(topic), partitions)
        await self._until_there(topic, partitions)
        # Partitions are listed a moment before their leaders take anything.
        await self.offsets(topic, at_end=True)

    async def _create(self, topic: str, partitions: int) -> None:
        await make(self._settings, self._admin, topic, partitions)

    async def _grow(self, name: str, partitions: int) -> None:
        # Who comes second is told that the topic has so many partitions, or more, already.
        new = NewPartitions(name, partitions)
        await self._admin.tell(
            lambda admin: admin.create_partitions([new])[name], KafkaError.INVALID_PARTITIONS
        )

    async def _until_there(self, topic: str, partitions: int) -> int:
        try:
            async with asyncio.timeout(_PATIENCE):
                while (present := await self.partitions(topic)) < partitions:  # noqa: ASYNC110 - only the cluster can tell
                    await asyncio.sleep(0.02)
                return present
        except TimeoutError:
            raise LogUnavailable(f"{topic} has fewer than {partitions} partitions") from None

    async def partitions(self, topic: str) -> int:
        """How many partitions the topic has, 0 when there is none."""
        name = self._settings.topic(topic)
        try:
            found = await self._admin.ask(
                lambda admin, timeout: admin.describe_topics(
                    TopicCollection([name]), request_timeout=timeout
                )[name]
            )
        except UnknownPartition:
            return 0
        return len(found.partitions)

    async def offsets(self, topic: str, *, at_end: bool) -> dict[int, int]:
        """Per partition, the offset at its end or at its beginning."""
        spec = OffsetSpec.latest() if at_end else OffsetSpec.earliest()  # type: ignore[no-untyped-call]
        name = self._settings.topic(topic)
        asked = {KafkaPartition(name, number): spec for number in range(await self.partitions(topic))}
        if not asked:
            return {}
        answers = await self._admin.ask_all(
            lambda admin, timeout: admin.list_offsets(asked, request_timeout=timeout)
        )
        return {part.partition: answer.offset for part, answer in answers.items()}
