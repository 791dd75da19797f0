"""Law 11: what cannot be read is kept in ``dead_letters``, once per position and consumer."""

import hashlib
import logging
from collections.abc import Sequence
from contextlib import aclosing

from funcledger_event_log.port import EventLog
from funcledger_event_log.records import DecodeError, NewRecord, Position, Record, TopicPartition
from funcledger_projectors.reading import Poison
from funcledger_schemas import clock
from funcledger_schemas.events import RecordDeadLettered
from funcledger_schemas.ids import new_id

_log = logging.getLogger(__name__)

#: How much of an unreadable value is kept with its position.
HEAD = 1024
_TOPIC = TopicPartition("dead_letters", 0)


class DeadLetters:
    """Appends a consumer's unreadable records, those that it has not appended before."""

    def __init__(self, log: EventLog, consumer: str) -> None:
        self._log = log
        self._consumer = consumer
        self._known: set[Position] = set()
        #: How far ``dead_letters`` has been read.
        self._next: int | None = None

    async def keep(self, poison: Sequence[Poison]) -> None:
        """Make sure that each of these stands in ``dead_letters``.

        Raises:
            LogUnavailable, OutcomeUnknown: try again.
        """
        if not poison:
            return
        await self._catch_up()
        new = [each for each in poison if each.record.position not in self._known]
        for record, reason in new:
            _log.error("%s cannot be read: %s", record.position, reason)
        if new:
            whole = await self._whole(new)
            await self._log.append([NewRecord.of(self._letter(each), 0) for each in whole])

    async def _whole(self, poison: Sequence[Poison]) -> list[Poison]:
        """With all of their values: a follower may be given the beginning of a large one."""
        found = await self._log.read([each.record.position for each in poison])
        return [
            Poison(record or each.record, each.reason) for record, each in zip(found, poison, strict=True)
        ]

    async def _catch_up(self) -> None:
        """Read what was appended before: by an earlier run, or by an append of unknown outcome."""
        end = (await self._log.ends(_TOPIC.topic))[_TOPIC.partition]
        start = self._next
        if start is None:
            start = (await self._log.starts(_TOPIC.topic))[_TOPIC.partition]
        if start < end:
            async with aclosing(self._log.follow({_TOPIC: start})) as batches:
                async for batch in batches:
                    self._known.update(filter(None, map(self._kept, batch)))
                    if batch[-1].offset + 1 >= end:
                        break
        self._next = end

    def _kept(self, record: Record) -> Position | None:
        try:
            event = record.event()
        except DecodeError:
            return None
        if not isinstance(event, RecordDeadLettered) or event.consumer != self._consumer:
            return None
        return Position(event.topic, event.partition, event.offset)

    def _letter(self, poison: Poison) -> RecordDeadLettered:
        record, reason = poison
        return RecordDeadLettered(
            event_id=new_id(),
            occurred_at=clock.micros(),
            actor=self._consumer,
            consumer=self._consumer,
            topic=record.topic,
            partition=record.partition,
            offset=record.offset,
            reason=reason,
            size=len(record.value),
            sha256=hashlib.sha256(record.value).hexdigest(),
            head=record.value[:HEAD],
        )
