"""``EndpointLog`` straight over an ``EventLog``: for trusted agents, and for the gateway behind its door."""

from collections.abc import AsyncGenerator, Iterable, Sequence
from contextlib import aclosing
from typing import NamedTuple

from funcledger_event_log.bodies import Bodies, FunctionBodies
from funcledger_event_log.endpoint_port import REFUSED, Identity
from funcledger_event_log.fencing import Fencing, OwnFencing
from funcledger_event_log.ownership import Ownership
from funcledger_event_log.port import Committed, EventLog
from funcledger_event_log.records import NewRecord, Position, Record, TopicPartition
from funcledger_event_log.stubs import AT_ONCE, Credit, stub
from funcledger_event_log.submissions import Refusal, Submissions
from funcledger_schemas import clock, tracing
from funcledger_schemas.envelope import Headers
from funcledger_schemas.events import Event, TaskEvent, TaskSubmitted
from funcledger_schemas.lifecycle import Outcome

#: A batch stops growing here, so that a reader holds about one record more than this.
_BATCH_BYTES = 1 << 20


class AppendedEvents(NamedTuple):
    """Where each event stands, ``REFUSED`` for one that was not taken; and per place of these, why."""

    offsets: list[int]
    refused: dict[int, Refusal]


class DirectEndpointLog:
    """An ``EndpointLog`` that reads and writes the endpoint's partitions itself.

    The gateway passes a ``fencing``, ``bodies`` and ``submissions`` shared by all its endpoints; an agent has
    its own, and nobody checks its events but those who follow the log.
    """

    def __init__(
        self,
        log: EventLog,
        identity: Identity,
        *,
        fencing: Fencing | None = None,
        bodies: Bodies | None = None,
        submissions: Submissions | None = None,
    ) -> None:
        self._log = log
        self._identity = identity
        self._key = identity.endpoint_id.encode()
        self._ownership = Ownership(identity.endpoint_id)
        self._tasks = TopicPartition("tasks", identity.partition)
        self._results = TopicPartition("results", identity.partition)
        self._consumer = f"endpoint-{identity.endpoint_id}"
        self._fencing = fencing or OwnFencing(log, self._results)
        self._bodies = bodies or FunctionBodies(log)
        self._submissions = submissions

    async def identify(self) -> Identity:
        """As the port says."""
        return self._identity

    async def follow_tasks(
        self, start: int, *, credit: int, credit_bytes: int
    ) -> AsyncGenerator[list[Record]]:
        """As the port says; submissions too small to be worth it come whole beyond the credit."""
        start = await self._from(self._tasks, start)
        left = Credit(credit, credit_bytes)
        async with aclosing(self._log.follow({self._tasks: start}, max_bytes=_BATCH_BYTES)) as batches:
            async for batch in batches:
                if mine := self._own(batch):
                    if self._submissions is not None:
                        self._submissions.sent(mine)
                    yield [record if left.take(record) else stub(record) for record in mine]

    async def fetch(self, offsets: Sequence[int]) -> list[Record]:
        """As the port says."""
        found = []
        for at in range(0, len(offsets), AT_ONCE):
            found += await self.fetch_some(offsets[at : at + AT_ONCE])
        return found

    async def fetch_some(self, offsets: Sequence[int]) -> list[Record]:
        """As :meth:`fetch`, in one read: for callers who bound memory themselves."""
        records = await self._log.read([Position(*self._tasks, offset) for offset in offsets])
        return self._own(record for record in records if record is not None)

    async def read_results(self, start: int, end: int) -> AsyncGenerator[list[Record]]:
        """As the port says; payloads are left in."""
        start = await self._from(self._results, start)
        end = min(end, await self._end(self._results))
        if start >= end:
            return
        async with aclosing(self._log.follow({self._results: start}, max_bytes=_BATCH_BYTES)) as batches:
            async for batch in batches:
                if mine := [record for record in self._own(batch) if record.offset < end]:
                    yield mine
                if batch[-1].offset + 1 >= end:
                    return

    async def ends(self) -> tuple[int, int]:
        """As the port says."""
        return await self._end(self._tasks), await self._end(self._results)

    async def append(self, events: Sequence[Event]) -> list[int]:
        """As the port says.

        Raises:
            CredentialRefused: an event that is not this endpoint's to say.
        """
        return (await self.append_records([self.seal(event) for event in events])).offsets

    def seal(self, event: Event, value: bytes | None = None) -> NewRecord:
        """The event as a record of this endpoint; ``value`` is its encoding where that is at hand.

        Raises:
            CredentialRefused: it is not this endpoint's to say.
        """
        self._ownership.check(event)
        extra: Headers = ()
        if (spans := tracing.spans) is not None and isinstance(event, TaskEvent):
            extra = spans.headers(event.task_id)
        return NewRecord.of(event, self._identity.partition, extra, value)

    async def append_records(self, records: Sequence[NewRecord]) -> AppendedEvents:
        """As :meth:`append`, of records that :meth:`seal` made."""
        events = [record.event() for record in records]
        self._fencing.fence.check(events)
        refused: dict[int, Refusal] = {}
        if self._submissions is not None:
            refused = await self._submissions.refusals(self._identity.partition, events)
        if not refused:
            return AppendedEvents(await self._append(records, events), refused)
        taken = [at for at in range(len(events)) if at not in refused]
        offsets = [REFUSED] * len(events)
        settled = await self._append([records[at] for at in taken], [events[at] for at in taken])
        for at, offset in zip(taken, settled, strict=True):
            offsets[at] = offset
        return AppendedEvents(offsets, refused)

    async def _append(self, records: Sequence[NewRecord], events: Sequence[Event]) -> list[int]:
        if not records:
            return []
        began = clock.current().time_ns()
        positions = await self._log.append(records)
        if (spans := tracing.spans) is not None:
            ended = [event.task_id for event in events if isinstance(event, Outcome)]
            spans.hop("report", ended, began, clock.current().time_ns())
        ends = [offset + 1 for topic, _, offset in positions if topic == self._results.topic]
        await self._fencing.passed(events, max(ends, default=None))
        settled = self._fencing.fence.settle([position.offset for position in positions], events)
        if self._submissions is not None:
            self._submissions.ended(events)
        return settled

    async def commit(self, offset: int, metadata: str) -> None:
        """As the port says."""
        await self._log.commit(self._consumer, self._tasks, offset, metadata)

    async def committed(self) -> Committed | None:
        """As the port says."""
        return await self._log.committed(self._consumer, self._tasks)

    async def function(self, content_hash: str, offset: int) -> bytes:
        """As the port says."""
        task = next((record.event() for record in await self.fetch_some([offset])), None)
        if not isinstance(task, TaskSubmitted) or task.function_hash != content_hash:
            raise LookupError(f"no task at offset {offset} calls a function with content {content_hash}")
        return await self._bodies.find(task.function_id, content_hash)

    async def close(self) -> None:
        """As the port says; the log itself belongs to whoever opened it."""
        await self._fencing.close()

    async def _from(self, where: TopicPartition, start: int) -> int:
        """The beginning means the lowest offset kept; any later one that is gone is for the log to refuse."""
        return start or (await self._log.starts(where.topic)).get(where.partition, 0)

    async def _end(self, where: TopicPartition) -> int:
        return (await self._log.ends(where.topic)).get(where.partition, 0)

    def _own(self, records: Iterable[Record]) -> list[Record]:
        return [record for record in records if record.key == self._key]
