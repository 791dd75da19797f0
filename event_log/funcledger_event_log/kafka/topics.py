"""Topics as the cluster has them: made explicitly, grown, and asked for their ends."""

import asyncio
from collections.abc import Callable
from typing import Any

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka import TopicPartition as KafkaPartition
from confluent_kafka.admin import AdminClient, OffsetSpec  # type: ignore[attr-defined]
from confluent_kafka.cimpl import NewPartitions, NewTopic

from funcledger_event_log.kafka.errors import translate
from funcledger_event_log.kafka.settings import KafkaSettings
from funcledger_event_log.port import LogUnavailable

_TIMEOUT = 10.0


class Topics:
    """An admin client; its blocking calls run in threads."""

    def __init__(self, settings: KafkaSettings) -> None:
        self._settings = settings
        self._admin = AdminClient(settings.client())

    async def create(self, topic: str, partitions: int) -> None:
        """Make the topic, or grow it."""
        present = await self.partitions(topic)
        name = self._settings.topic(topic)
        if present == 0:
            new = NewTopic(name, partitions, self._settings.replication, config=self._settings.topic_config())
            await self._do(lambda: self._admin.create_topics([new])[name].result(_TIMEOUT))
        elif present < partitions:
            await self._do(
                lambda: self._admin.create_partitions([NewPartitions(name, partitions)])[name].result(
                    _TIMEOUT
                )
            )
        await self._until_there(topic, partitions)

    async def _until_there(self, topic: str, partitions: int) -> None:
        async with asyncio.timeout(_TIMEOUT):
            while await self.partitions(topic) < partitions:  # noqa: ASYNC110 - only the cluster can tell
                await asyncio.sleep(0.05)

    async def partitions(self, topic: str) -> int:
        """How many partitions the topic has, 0 when there is none."""
        name = self._settings.topic(topic)
        found = (await self._do(lambda: self._admin.list_topics(name, timeout=_TIMEOUT))).topics.get(name)
        return 0 if found is None or found.error is not None else len(found.partitions)

    async def offsets(self, topic: str, *, at_end: bool) -> dict[int, int]:
        """Per partition, the offset at its end or at its beginning."""
        spec = OffsetSpec.latest() if at_end else OffsetSpec.earliest()  # type: ignore[no-untyped-call]
        name = self._settings.topic(topic)
        asked = {KafkaPartition(name, number): spec for number in range(await self.partitions(topic))}
        if not asked:
            return {}
        futures = await self._do(lambda: self._admin.list_offsets(asked, request_timeout=_TIMEOUT))
        answers = [(part.partition, await self._do(future.result)) for part, future in futures.items()]
        return {partition: answer.offset for partition, answer in answers}

    async def _do(self, call: Callable[[], Any]) -> Any:
        try:
            return await asyncio.to_thread(call)
        except KafkaException as error:
            if error.args[0].code() == KafkaError.TOPIC_ALREADY_EXISTS:
                return None
            told = translate(error.args[0])
            raise LogUnavailable(str(told)) from error
