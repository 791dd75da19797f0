"""The end of every followed partition, consumed once for all followers of one kind in this process."""

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from itertools import groupby

from confluent_kafka import TopicPartition as KafkaPartition

from funcledger_event_log.following import Bells
from funcledger_event_log.kafka.lanes import Lanes
from funcledger_event_log.kafka.reader import Introduced, consumer, drain
from funcledger_event_log.kafka.settings import KafkaSettings
from funcledger_event_log.port import LogError, LogUnavailable, PositionGone
from funcledger_event_log.recent import Newest, RecentRecords, take
from funcledger_event_log.records import Record, TopicPartition

_log = logging.getLogger(__name__)

#: Bytes of the newest records that stay in memory for followers.
TAIL_BYTES = 64 << 20
#: Seconds a poll waits for something new before it looks whether it should stop.
_POLL = 0.05
#: Seconds between looks whether everything arrives.
LOOK = 5.0

#: Where these topics end, as the cluster says; raises LogUnavailable.
Ends = Callable[[Iterable[str]], Awaitable[Mapping[TopicPartition, int]]]


class SharedEnd:
    """One consumer of the ends, from which followers are served; those behind go through the lanes.

    It never waits for a follower: the oldest records leave memory, and who is too slow fetches them again.
    When the client library gives up, or records that the cluster has do not arrive, all followers are told
    that the log is unavailable, and the log makes another of these.
    """

    def __init__(
        self,
        settings: KafkaSettings,
        lanes: Lanes,
        ends: Ends,
        tail_bytes: int = TAIL_BYTES,
        *,
        gathers: bool = False,
        look: float = LOOK,
    ) -> None:
        """``gathers``: its followers let records gather, as the settings say."""
        self.bells = Bells()
        self.fetch = lanes.batch
        self._settings = settings
        self._ends, self._look = ends, look
        self._consumer = consumer(settings.follower(gathers=gathers))
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="kafka-end")
        self._introduced = Introduced(self._consumer)
        self._followed: dict[TopicPartition, Newest] = {}
        self._followers: Counter[TopicPartition] = Counter()
        #: Partitions to consume from an offset on, or no more, at the thread's next turn.
        self._changes: dict[TopicPartition, int | None] = {}
        #: What the consumer has; the thread's own.
        self._assigned: set[TopicPartition] = set()
        self._recent = RecentRecords(tail_bytes)
        self._task = asyncio.create_task(self._consume(), name="kafka-end")
        self._watcher = asyncio.create_task(self._watch(), name="kafka-end: watch")

    def join(self, ends: Mapping[TopicPartition, int]) -> None:
        """Somebody follows these partitions, which end there at present."""
        if self.bells.closed:
            raise LogUnavailable("the log is closed")
        for where, end in ends.items():
            if not self._followers[where]:
                self._followed[where] = Newest(where, end)
                self._changes[where] = end
            self._followers[where] += 1

    def leave(self, partitions: Iterable[TopicPartition]) -> None:
        """They do not any more."""
        for where in partitions:
            self._followers[where] -= 1
            if not self._followers[where]:
                del self._followed[where], self._followers[where]
                self._changes[where] = None

    def check(self, start: Mapping[TopicPartition, int]) -> None:
        """The log has checked it, since that takes questions to the cluster."""

    def take(self, where: TopicPartition, offset: int, records: int, size: int) -> list[Record] | None:
        """Records from an offset on, for a follower; None when they are not in memory."""
        return take(self._followed[where], offset, records, size)

    def get(self, where: TopicPartition, offset: int) -> Record | None:
        """One record, None when it is not in memory."""
        followed = self._followed.get(where)
        return followed.tail.get(offset) if followed else None

    async def _consume(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            while not self.bells.closed:
                changes, self._changes = self._changes, {}
                self._arrived(await loop.run_in_executor(self._thread, self._turn, changes))
        except LogError:
            _log.exception("the ends of the log could not be followed any further; starting anew")
        finally:
            self.bells.close()
            self._watcher.cancel()
            self._thread.submit(self._consumer.close)
            self._thread.shutdown(wait=False)

    async def _watch(self) -> None:
        """Give up when a partition has stood still from one look to the next though it goes on.

        The client library may stop to fetch one, or all of them, and say nothing (librdkafka issue 5301).
        """
        stood: dict[TopicPartition, int] = {}
        while True:
            await asyncio.sleep(self._look)
            before, stood = stood, await self._standing()
            if still := [where for where, end in stood.items() if before.get(where) == end]:
                _log.warning("nothing more arrives of %s; starting anew", ", ".join(map(str, still)))
                self.bells.close()
                return

    async def _standing(self) -> dict[TopicPartition, int]:
        """How far those partitions have come here that the cluster has more of."""
        try:
            ends = await self._ends({where.topic for where in self._followed})
        except LogError:
            return {}
        return {
            where: newest.end for where, newest in self._followed.items() if newest.end < ends.get(where, 0)
        }

    def _turn(self, changes: Mapping[TopicPartition, int | None]) -> list[Record]:
        """Change what is consumed, then take what is there.

        Both in one thread: a consumer that polls lets nobody else in, for as long as nothing comes.
        """
        gone = self._assigned & changes.keys()
        new = {where: offset for where, offset in changes.items() if offset is not None}
        if gone:
            self._consumer.incremental_unassign([self._at(where) for where in gone])
        if new:
            self._introduced.introduce({self._settings.topic(where.topic) for where in new})
            self._consumer.incremental_assign([self._at(*start) for start in new.items()])
        self._assigned = (self._assigned - gone) | new.keys()
        return drain(self._consumer, self._settings.prefix, _POLL)

    def _at(self, where: TopicPartition, offset: int = 0) -> KafkaPartition:
        return KafkaPartition(self._settings.topic(where.topic), where.partition, offset)

    def _arrived(self, records: list[Record]) -> None:
        changed = []
        for where, group in groupby(records, lambda record: TopicPartition(record.topic, record.partition)):
            newest = self._followed.get(where)
            if newest is None or where in self._changes:
                continue  # nobody follows it any more, or somebody else anew, from an offset of their own
            new = [record for record in group if record.offset >= newest.end]
            if not new:
                continue
            if new[0].offset != newest.end:
                raise PositionGone(f"{where} goes on at {new[0].offset}, not at {newest.end}")
            self._recent.add(newest, new)
            changed.append(where)
        self.bells.ring(changed)

    async def close(self) -> None:
        """Wake every follower for the last time, and let go of the consumer."""
        self.bells.close()
        await self._task
