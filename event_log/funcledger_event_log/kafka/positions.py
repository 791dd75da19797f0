"""Consumers' positions, kept as Kafka keeps a group's offsets, with their metadata."""

import asyncio
from concurrent.futures import ThreadPoolExecutor

from confluent_kafka import OFFSET_INVALID, Consumer, ConsumerGroupTopicPartitions, KafkaException
from confluent_kafka import TopicPartition as KafkaPartition

from funcledger_event_log.kafka.admin import ANSWER_TIMEOUT, Admin
from funcledger_event_log.kafka.settings import KafkaSettings
from funcledger_event_log.port import Committed, LogUnavailable
from funcledger_event_log.records import TopicPartition


class Positions:
    """Positions of named consumers that assign partitions themselves.

    Commits go through the one admin client: a gateway keeps a position for every endpoint, and a client
    for each would be thousands. Asking is rare, and takes a client of its own for the moment: the admin
    client's way to ask ends the whole process when the coordinator is not ready (librdkafka issue 5040).
    """

    def __init__(self, settings: KafkaSettings, admin: Admin) -> None:
        self._settings = settings
        self._admin = admin
        self._threads = ThreadPoolExecutor(2, thread_name_prefix="kafka-positions")

    async def commit(self, consumer: str, where: TopicPartition, offset: int, metadata: str) -> None:
        """Keep the position."""
        group = self._settings.group(consumer)
        target = KafkaPartition(self._settings.topic(where.topic), where.partition, offset, metadata)
        await self._admin.commit(ConsumerGroupTopicPartitions(group, [target]))

    async def committed(self, consumer: str, where: TopicPartition) -> Committed | None:
        """The position kept last."""
        loop = asyncio.get_running_loop()
        try:
            found = await loop.run_in_executor(self._threads, self._ask, consumer, where)
        except KafkaException as error:
            raise LogUnavailable(f"the position could not be asked for: {error}") from error
        if found.offset == OFFSET_INVALID:
            return None
        return Committed(found.offset, found.metadata or "")

    def _ask(self, consumer: str, where: TopicPartition) -> KafkaPartition:
        client = Consumer(self._settings.consumer(consumer))
        try:
            target = KafkaPartition(self._settings.topic(where.topic), where.partition)
            found: KafkaPartition = client.committed([target], ANSWER_TIMEOUT)[0]
        finally:
            client.close()
        if found.error is not None:
            raise KafkaException(found.error)
        return found

    def close(self) -> None:
        """Let go of the threads."""
        self._threads.shutdown(wait=False)
