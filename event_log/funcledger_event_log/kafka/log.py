"""``KafkaLog``: the port ``EventLog`` over a Kafka cluster."""

import asyncio
import functools
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack, aclosing
from typing import Any

from confluent_kafka import Producer

from funcledger_event_log.checks import check_metadata, check_sizes, check_start, unknown
from funcledger_event_log.following import follow
from funcledger_event_log.kafka.admin import Admin
from funcledger_event_log.kafka.broker_time import BrokerTime
from funcledger_event_log.kafka.lanes import Lanes
from funcledger_event_log.kafka.positions import Positions
from funcledger_event_log.kafka.probe import Probe
from funcledger_event_log.kafka.producer import Writer
from funcledger_event_log.kafka.settings import KafkaSettings
from funcledger_event_log.kafka.shared import SharedEnd
from funcledger_event_log.kafka.topics import Topics
from funcledger_event_log.log_time import LogTime
from funcledger_event_log.port import Committed, LogError, LogUnavailable, PositionGone
from funcledger_event_log.records import NewRecord, Position, Record, TopicPartition

#: Topics whose records do not gather for followers of these alone: who appends one waits until it is seen.
_AT_ONCE = {"functions", "endpoints"}


class KafkaLog:
    """An ``EventLog`` of Kafka topics; partitions known are cached, since they only ever grow.

    ``producer`` makes the client library's producer from its settings.
    """

    def __init__(
        self, settings: KafkaSettings, *, producer: Callable[[dict[str, Any]], Producer] = Producer
    ) -> None:
        self.settings = settings
        admin = Admin(settings)
        self._topics = Topics(settings, admin)
        self._positions = Positions(settings, self._topics, self._append_counted)
        broker_time = BrokerTime(self._topics, self._stamp)
        self._time = LogTime(broker_time.ask)
        self._probe = Probe(broker_time.ask)
        self._writer = Writer(settings, producer)
        self._lanes = Lanes(settings)
        #: For those followers who let records gather, and for those who do not.
        self._shared: dict[bool, SharedEnd] = {}
        self._known: dict[str, int] = {}
        self._appending: set[asyncio.Task[list[Position]]] = set()
        self._closed = False

    async def create_topic(self, topic: str, partitions: int) -> None:
        """As the port says."""
        await self._topics.create(topic, partitions)

    async def partitions(self, topic: str) -> int:
        """As the port says."""
        return await self._topics.partitions(topic)

    async def _check(self, wheres: Iterable[TopicPartition]) -> None:
        for where in wheres:
            if where.partition >= self._known.get(where.topic, 0):
                known = await self._topics.partitions(where.topic)
                await self._writer.learn(where.topic)
                self._known[where.topic] = known
            if not 0 <= where.partition < self._known[where.topic]:
                raise unknown(where)

    async def append(self, records: Sequence[NewRecord]) -> list[Position]:
        """As the port says."""
        self._check_open()
        size = check_sizes(records)
        # Accepted: it goes on when its writer is cancelled, and closing waits for it.
        task = asyncio.ensure_future(self._append(records, size))
        self._appending.add(task)
        task.add_done_callback(self._appending.discard)
        return await asyncio.shield(task)

    async def _append(self, records: Sequence[NewRecord], size: int) -> list[Position]:
        await self._check({TopicPartition(record.topic, record.partition) for record in records})
        return await self._writer.append(records, size)

    async def _append_counted(self, records: Sequence[NewRecord]) -> list[Position]:
        return await self._append(records, check_sizes(records))

    async def _stamp(self, record: NewRecord) -> int:
        await self._check([TopicPartition(record.topic, record.partition)])
        return await self._writer.stamp(record, check_sizes([record]))

    def _check_open(self) -> None:
        if self._closed:
            raise LogUnavailable("the log is closed")

    async def follow(
        self, start: Mapping[TopicPartition, int], *, max_records: int = 1000, max_bytes: int = 8 << 20
    ) -> AsyncGenerator[list[Record]]:
        """As the port says."""
        await self._check(start)
        ends = await self._ends_for(start)
        self._check_open()
        shared = self._end_for(start)
        shared.join(ends)
        try:
            async with aclosing(follow(shared, start, max_records, max_bytes)) as batches:
                async for batch in batches:
                    yield batch
        finally:
            shared.leave(ends)

    def _end_for(self, start: Mapping[TopicPartition, int]) -> SharedEnd:
        gathers = self.settings.gather > 0 and not {where.topic for where in start} <= _AT_ONCE
        shared = self._shared.get(gathers)
        if shared is None or shared.bells.closed:
            ends = functools.partial(self._offsets, at_end=True)
            shared = self._shared[gathers] = SharedEnd(self.settings, self._lanes, ends, gathers=gathers)
        return shared

    async def _ends_for(self, start: Mapping[TopicPartition, int]) -> dict[TopicPartition, int]:
        """Where the partitions end, all of which hold what is to be followed."""
        topics = {where.topic for where in start}
        check_start(start, await self._offsets(topics, at_end=False))
        ends = await self._offsets(topics, at_end=True)
        for where, offset in start.items():
            if offset > ends[where]:
                raise PositionGone(f"offset {offset} of {where} is gone: the log ends at {ends[where]}")
        return {where: ends[where] for where in start}

    async def _offsets(self, topics: Iterable[str], *, at_end: bool) -> dict[TopicPartition, int]:
        found: dict[TopicPartition, int] = {}
        for topic in topics:
            offsets = await self._topics.offsets(topic, at_end=at_end)
            found |= {TopicPartition(topic, number): offset for number, offset in offsets.items()}
        return found

    async def read(self, positions: Sequence[Position]) -> list[Record | None]:
        """As the port says."""
        found, missing = self._in_memory(positions)
        if missing:
            await self._check(missing)
            topics = {where.topic for where in missing}
            starts, ends = await asyncio.gather(
                self._offsets(topics, at_end=False), self._offsets(topics, at_end=True)
            )
            for where, offsets in missing.items():
                there = sorted(offset for offset in offsets if starts[where] <= offset < ends[where])
                records = await self._lanes.pick(where, there) if there else []
                found |= {record.position: record for record in records}
        return [found.get(position) for position in positions]

    def _in_memory(
        self, positions: Sequence[Position]
    ) -> tuple[dict[Position, Record], dict[TopicPartition, set[int]]]:
        """The records that are, and the offsets that are not."""
        found: dict[Position, Record] = {}
        missing: dict[TopicPartition, set[int]] = {}
        for topic, partition, offset in positions:
            where = TopicPartition(topic, partition)
            held = (shared.get(where, offset) for shared in self._shared.values())
            record = next(filter(None, held), None)
            if record is None:
                missing.setdefault(where, set()).add(offset)
            else:
                found[record.position] = record
        return found, missing

    async def ends(self, topic: str) -> dict[int, int]:
        """As the port says."""
        return await self._topics.offsets(topic, at_end=True)

    async def starts(self, topic: str) -> dict[int, int]:
        """As the port says."""
        return await self._topics.offsets(topic, at_end=False)

    async def commit(self, consumer: str, where: TopicPartition, offset: int, metadata: str = "") -> None:
        """As the port says."""
        check_metadata(metadata)
        await self._check([where])
        await self._positions.commit(consumer, where, offset, metadata)

    async def committed(self, consumer: str, where: TopicPartition) -> Committed | None:
        """As the port says."""
        return await self._positions.committed(consumer, where)

    async def time(self) -> int:
        """As the port says: a broker's, asked once a minute."""
        self._check_open()
        return await self._time.now()

    async def trouble(self) -> str | None:
        """As the port says."""
        return None if await self.ready() else "Its brokers cannot be reached, or take nothing just now."

    async def ready(self) -> bool:
        """As the port says: the producer is whole and the cluster answers within a second.

        It may answer and take nothing, as when too few brokers are left: after an append that came to nothing
        another one must get through.
        """
        if self._closed or not self._writer.ready:
            return False
        try:
            async with asyncio.timeout(1.0):
                await self._topics.partitions("tasks")
                if self._writer.in_doubt:
                    await self._probe.passes()
        except (LogError, TimeoutError):
            return False
        return True

    async def close(self) -> None:
        """As the port says."""
        if self._closed:
            return
        self._closed = True
        await self._probe.close()
        await asyncio.gather(*self._appending, return_exceptions=True)
        async with AsyncExitStack() as stack:
            stack.push_async_callback(asyncio.to_thread, self._writer.close)
            stack.callback(self._positions.close)
            stack.callback(self._lanes.close)
            for shared in self._shared.values():
                stack.push_async_callback(shared.close)
