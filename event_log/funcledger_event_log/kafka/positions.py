"""Consumers' positions, kept as Kafka keeps a group's offsets, with their metadata."""

import asyncio

from confluent_kafka import OFFSET_INVALID, Consumer, KafkaException
from confluent_kafka import TopicPartition as KafkaPartition

from funcledger_event_log.kafka.settings import KafkaSettings
from funcledger_event_log.port import Committed, LogUnavailable
from funcledger_event_log.records import TopicPartition

_TIMEOUT = 10.0


class Positions:
    """Commits for named consumers that assign partitions themselves; one idle client for each name."""

    def __init__(self, settings: KafkaSettings) -> None:
        self._settings = settings
        self._clients: dict[str, Consumer] = {}

    def _client(self, consumer: str) -> Consumer:
        if consumer not in self._clients:
            self._clients[consumer] = Consumer(self._settings.consumer(consumer))
        return self._clients[consumer]

    async def commit(self, consumer: str, where: TopicPartition, offset: int, metadata: str) -> None:
        """Keep the position."""
        target = KafkaPartition(self._settings.topic(where.topic), where.partition, offset, metadata)
        client = self._client(consumer)
        try:
            await asyncio.to_thread(lambda: client.commit(offsets=[target], asynchronous=False))
        except KafkaException as error:
            raise LogUnavailable(f"the position could not be kept: {error}") from error

    async def committed(self, consumer: str, where: TopicPartition) -> Committed | None:
        """The position kept last."""
        target = KafkaPartition(self._settings.topic(where.topic), where.partition)
        client = self._client(consumer)
        try:
            found = (await asyncio.to_thread(client.committed, [target], _TIMEOUT))[0]
        except KafkaException as error:
            raise LogUnavailable(f"the position could not be asked for: {error}") from error
        if found.offset == OFFSET_INVALID:
            return None
        return Committed(found.offset, found.metadata or "")

    def close(self) -> None:
        """Let go of every client."""
        for client in self._clients.values():
            client.close()
        self._clients.clear()
