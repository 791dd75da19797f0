"""Writes records of another log into empty topics: same offsets, same append times, each of them checked."""

import asyncio
from collections.abc import Sequence
from concurrent.futures import Future
from typing import Any, cast

from confluent_kafka import TIMESTAMP_CREATE_TIME, KafkaError, Message, Producer
from confluent_kafka.admin import (  # type: ignore[attr-defined]
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    ResourceType,
)

from funcledger_event_log.kafka.admin import Admin
from funcledger_event_log.kafka.cluster import Cluster
from funcledger_event_log.kafka.prefixes import Prefixes
from funcledger_event_log.kafka.settings import KafkaSettings
from funcledger_event_log.kafka.topics import make
from funcledger_event_log.port import LogError
from funcledger_event_log.records import NewRecord, Record

#: The setting that says whose clock a record's time is, and its two values.
SETTING = "message.timestamp.type"
WRITERS, BROKERS = "CreateTime", "LogAppendTime"
#: Seconds until every broker goes by a topic's changed setting.
_PATIENCE = 15.0


class ImportFailed(LogError):
    """Raised when a record did not come to stand where, or when, it stood."""


class Importer:
    """While a topic is open for import its records keep the time they are written with.

    No service starts on such a topic, so one that was left behind half full is not used by mistake.
    """

    def __init__(self, settings: KafkaSettings) -> None:
        self._settings = settings
        self._admin = Admin(settings)
        self._prefixes = Prefixes(settings.schema_ids)
        self._producer = Producer(settings.producer())

    async def is_open(self, topic: str) -> bool:
        """Whether the topic, which is there, takes records with their own time."""
        (state,) = await Cluster(self._settings).topics([topic])
        return state.config.get(SETTING) == WRITERS

    async def create(self, topic: str, partitions: int) -> None:
        """Make the topic, open for import."""
        await make(self._settings, self._admin, topic, partitions, {SETTING: WRITERS})

    async def open(self, topic: str) -> None:
        """Have the topic, which is there, take records with their own time."""
        await self._set(topic, WRITERS)
        async with asyncio.timeout(_PATIENCE):
            while not await self.is_open(topic):  # noqa: ASYNC110 - only the cluster can tell
                await asyncio.sleep(0.1)
        await asyncio.sleep(1.0)  # the other brokers, which nobody can ask

    async def close(self, topic: str) -> None:
        """Have the brokers give records their time again."""
        await self._set(topic, BROKERS)

    async def _set(self, topic: str, value: str) -> None:
        entry = ConfigEntry(SETTING, value, incremental_operation=AlterConfigOpType.SET)
        resource = ConfigResource(
            ResourceType.TOPIC, self._settings.topic(topic), incremental_configs=[entry]
        )

        def call(admin: Any, timeout: float) -> "Future[Any]":
            answers = admin.incremental_alter_configs([resource], request_timeout=timeout)
            return cast("Future[Any]", answers[resource])

        await self._admin.ask(call)

    async def write(self, records: Sequence[Record]) -> None:
        """Append records of one partition, and wait until each is where it was.

        Raises:
            ImportFailed: one is not. The topics are then of no use.
        """
        await asyncio.to_thread(self._write, records)

    def _write(self, records: Sequence[Record]) -> None:
        reports: list[tuple[KafkaError | None, int | None, tuple[int, int]]] = []

        def report(error: KafkaError | None, message: Message) -> None:
            reports.append((error, message.offset(), message.timestamp()))

        for record in records:
            while True:
                try:
                    self._produce(record, report)
                    break
                except BufferError:
                    self._producer.poll(0.5)
        self._producer.flush(2 * self._settings.delivery_timeout)
        wanted = [(None, record.offset, (TIMESTAMP_CREATE_TIME, record.timestamp)) for record in records]
        if reports != wanted:
            where = f"{records[0].topic}/{records[0].partition}"
            wrong = [told for told, want in zip(reports, wanted, strict=False) if told != want]
            raise ImportFailed(
                f"records of {where} from {records[0].offset} on were not written as they stood: "
                f"{wrong[:1] or 'no answer'}"
            )

    def _produce(self, record: Record, report: Any) -> None:
        new = NewRecord(record.topic, record.partition, record.key, record.head, record.value)
        headers: list[Any] = list(record.headers)
        self._producer.produce(
            self._settings.topic(record.topic),
            value=self._prefixes.value_of(new),
            key=record.key,
            partition=record.partition,
            headers=headers,
            timestamp=record.timestamp,
            on_delivery=report,
        )
