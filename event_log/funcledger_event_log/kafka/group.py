"""``Assignment`` by a Kafka consumer group: who is a member has partitions, and a dead member's go to others.

The group only divides: its consumer fetches nothing, and positions come from whatever is written to. It
subscribes to one topic, so that the same partition numbers of all topics are one member's.
"""

import asyncio
import logging
import threading
import time
from collections.abc import AsyncGenerator, Coroutine, Sequence
from contextlib import asynccontextmanager
from typing import Any

from confluent_kafka import OFFSET_END, Consumer, KafkaException
from confluent_kafka import TopicPartition as KafkaPartition

from funcledger_event_log.assignment import Share
from funcledger_event_log.kafka.settings import KafkaSettings

_log = logging.getLogger(__name__)

#: Seconds after which a member that is silent is taken for dead; brokers allow no less unless told to.
SESSION_TIMEOUT = 6.0
#: Seconds a member may take to let go of partitions; after that it is for guards to refuse its writes.
LET_GO = 10.0
#: Seconds without a partition after which a member begins anew: its client may have lost the cluster for
#: good (librdkafka issue 5301). Where there are more members than partitions, that moves none.
ANEW = 60.0
_POLL = 0.2


class Group:
    """A member of the group of ``consumer``, in a thread of its own."""

    def __init__(self, settings: KafkaSettings, consumer: str, topic: str = "tasks") -> None:
        self._settings = settings
        self._name = consumer
        self._topic = settings.topic(topic)
        self._numbers: frozenset[int] = frozenset()
        self._changed = asyncio.Condition()
        self._held: Share | None = None
        self._leaving = False
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop

    @property
    def share(self) -> Share:
        """As the protocol says."""
        return Share(self._numbers)

    async def join(self) -> None:
        """As the protocol says."""
        self._loop = asyncio.get_running_loop()
        self._leaving = False
        self._thread = threading.Thread(target=self._be_member, name=f"kafka-group {self._name}", daemon=True)
        self._thread.start()

    @asynccontextmanager
    async def hold(self) -> AsyncGenerator[Share]:
        """As the protocol says."""
        async with self._changed:
            await self._changed.wait_for(lambda: self._numbers)
            held = self._held = Share(self._numbers)
        try:
            yield held
        finally:
            self._held = None
            await asyncio.shield(asyncio.ensure_future(self._ring()))

    async def leave(self) -> None:
        """As the protocol says."""
        thread, self._thread = self._thread, None
        if thread is not None:
            self._leaving = True
            await asyncio.to_thread(thread.join)

    async def _ring(self) -> None:
        async with self._changed:
            self._changed.notify_all()

    def _be_member(self) -> None:
        while not self._leaving:
            try:
                consumer = Consumer(self._settings.member(self._name, SESSION_TIMEOUT))
                try:
                    self._take_part(consumer)
                finally:
                    consumer.close()
            except KafkaException:
                _log.exception("this member of %s begins anew", self._name)
                self._in_loop(self._change(frozenset()))
                time.sleep(_POLL)

    def _take_part(self, consumer: Consumer) -> None:
        consumer.subscribe(
            [self._topic], on_assign=self._assigned, on_revoke=self._revoked, on_lost=self._revoked
        )
        held = time.monotonic()
        while not self._leaving and time.monotonic() - held < ANEW:
            held = time.monotonic() if self._numbers else held
            message = consumer.poll(_POLL)
            if message is not None and (error := message.error()) is not None:
                _log.warning("the group %s: %s", self._name, error.str())
        if not self._leaving:
            _log.info("no partitions of %s for %g s: this member joins anew", self._name, ANEW)

    def _assigned(self, consumer: Consumer, partitions: Sequence[KafkaPartition]) -> None:
        for each in partitions:
            each.offset = OFFSET_END
        consumer.incremental_assign(list(partitions))
        consumer.pause(list(partitions))
        added = {each.partition for each in partitions}
        if added:
            self._in_loop(self._change(self._numbers | added))

    def _revoked(self, consumer: Consumer, partitions: Sequence[KafkaPartition]) -> None:
        gone = {each.partition for each in partitions}
        if gone:
            self._in_loop(self._change(self._numbers - gone))
        consumer.incremental_unassign(list(partitions))

    def _in_loop(self, change: Coroutine[Any, Any, None]) -> None:
        """Wait in this thread until the loop has made the change; the group waits for this thread."""
        try:
            asyncio.run_coroutine_threadsafe(change, self._loop).result(LET_GO)
        except TimeoutError:
            _log.warning("partitions were not let go of within %g s; the store refuses late writes", LET_GO)

    async def _change(self, numbers: frozenset[int]) -> None:
        """Take on the new share, once nobody works on the old one."""
        _log.info("partitions of %s: %s", self._name, sorted(numbers))
        async with self._changed:
            self._numbers = numbers
            old = self._held
            if old is not None:
                old.over.set()
            self._changed.notify_all()
            await self._changed.wait_for(lambda: old is None or self._held is not old)
