"""Moves the records: every one to the offset, and with the append time, that it has.

Epochs, positions in events, positions that clients and agents keep: all of them are offsets, and deadlines
count from append times. So both must stay, and then nothing has to be translated.
"""

import hashlib
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import NamedTuple

from funcledger_compose.migration.errors import MigrationError
from funcledger_event_log.kafka.importing import Importer
from funcledger_event_log.port import EventLog
from funcledger_event_log.records import Record, TopicPartition
from funcledger_schemas.envelope import BY_ENDPOINT, TOPICS

_PREFIX = 5
_OTHERS = (
    "Migrate into topics that are empty or missing: give them another prefix "
    "(FUNCLEDGER_KAFKA_TOPIC_PREFIX), or delete them"
)


class Moved(NamedTuple):
    """A partition that is the same on both sides: how many records, and the SHA-256 over all of them."""

    where: TopicPartition
    records: int
    sha256: str


class RecordMover:
    """Copies a log into topics, goes on where it was interrupted, and compares the two at the end."""

    def __init__(
        self, source: EventLog, target: EventLog, importer: Importer, say: Callable[[str], None]
    ) -> None:
        self._source = source
        self._target = target
        self._importer = importer
        self._say = say

    async def move(self, partitions: int) -> list[Moved]:
        """Everything; topics that are missing are made, those of endpoints with ``partitions`` or more.

        Raises:
            MigrationError: the topics hold something else.
            LogError: try again.
        """
        for topic in TOPICS:
            await self._prepare(topic, partitions)
        for topic in TOPICS:
            await self._fill(topic)
        moved = [each for topic in TOPICS for each in await self._compared(topic)]
        for topic in TOPICS:
            if await self._importer.is_open(topic):
                await self._importer.close(topic)
        return moved

    async def _prepare(self, topic: str, partitions: int) -> None:
        """Make the topic, or see that what it holds is the beginning of ours."""
        needed, present = await self._source.partitions(topic), await self._target.partitions(topic)
        if any((await self._source.starts(topic)).values()):
            raise MigrationError(f"the beginning of {topic} has expired, so its offsets cannot be kept")
        if not present:
            await self._importer.create(topic, max(needed, partitions if topic in BY_ENDPOINT else 1))
            await self._target.create_topic(topic, needed or 1)
            return
        if present < needed:
            raise MigrationError(
                f"{topic} has {present} partitions in the cluster and {needed} here. Run "
                f"`funcledger topics grow {needed}`, or delete the empty topics and migrate again"
            )
        await self._check_beginning(topic)

    async def _check_beginning(self, topic: str) -> None:
        ours, theirs = await self._source.ends(topic), await self._target.ends(topic)
        if beyond := [number for number, end in theirs.items() if end > ours.get(number, 0)]:
            raise MigrationError(f"{topic}/{beyond[0]} holds more in the cluster than here. {_OTHERS}")
        if all(theirs.get(number, 0) == end for number, end in ours.items()):
            return
        if any(theirs.values()) and not await self._importer.is_open(topic):
            raise MigrationError(f"{topic} holds records that no migration left there. {_OTHERS}")
        await self._compared(topic)
        if not await self._importer.is_open(topic):
            await self._importer.open(topic)

    async def _fill(self, topic: str) -> None:
        ours, theirs = await self._source.ends(topic), await self._target.ends(topic)
        for number, end in sorted(ours.items()):
            if theirs[number] < end:
                self._say(f"{topic}/{number}: {end - theirs[number]:,} records")
            async for batch in _range(self._source, TopicPartition(topic, number), theirs[number], end):
                await self._importer.write(batch)

    async def _compared(self, topic: str) -> list[Moved]:
        """Both sides read, record by record, as far as the target goes.

        Raises:
            MigrationError: they differ.
        """
        starts, ends = await self._target.starts(topic), await self._target.ends(topic)
        found = []
        for number in sorted(await self._source.ends(topic)):
            where = TopicPartition(topic, number)
            if ends[number]:
                found.append(await self._compare(where, starts[number], ends[number]))
        return found

    async def _compare(self, where: TopicPartition, start: int, end: int) -> Moved:
        """The beginning of a partition that expires may be gone in the cluster already (heartbeats)."""
        digest = hashlib.sha256()
        ours, theirs = _records(self._source, where, start, end), _records(self._target, where, start, end)
        async with aclosing(ours), aclosing(theirs):
            async for mine in ours:
                copy = await anext(theirs)
                if _content(mine) != _content(copy):
                    raise MigrationError(
                        f"{where.topic}/{where.partition} holds another record at {mine.offset} in the "
                        f"cluster than here. {_OTHERS}"
                    )
                for part in _content(mine):
                    digest.update(b"%d:" % len(part) + part)
        return Moved(where, end, digest.hexdigest())


def _content(record: Record) -> tuple[bytes, ...]:
    """All there is to a record but the number of its schema, which may be another registry's."""
    headers = (part for name, content in record.headers for part in (name.encode(), content))
    place = (b"%d" % record.offset, b"%d" % record.timestamp)
    return (*place, record.key, *headers, record.value[:1], record.value[_PREFIX:])


async def _range(log: EventLog, where: TopicPartition, start: int, end: int) -> AsyncGenerator[list[Record]]:
    """Batches of the records from ``start`` to before ``end``."""
    if start >= end:
        return
    async with aclosing(log.follow({where: start})) as batches:
        async for batch in batches:
            yield [record for record in batch if record.offset < end]
            if batch[-1].offset >= end - 1:
                return


async def _records(log: EventLog, where: TopicPartition, start: int, end: int) -> AsyncGenerator[Record]:
    async with aclosing(_range(log, where, start, end)) as batches:
        async for batch in batches:
            for record in batch:
                yield record
