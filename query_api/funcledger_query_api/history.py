"""A task's history: every event about it on the log, payloads apart."""

from collections.abc import Iterable, Iterator, Sequence
from heapq import merge
from operator import attrgetter, itemgetter
from typing import Any

import msgspec

from funcledger_event_log.port import EventLog
from funcledger_event_log.records import DecodeError, Position, Record
from funcledger_read_models.documents import HistoryEntry, TaskHistory

#: Seconds: clocks of machines in good order agree better than this. An event may be appended long after it
#: happened, but never before.
_NOTICEABLE = 2.0
_offset = attrgetter("offset")


class HistoryEvent(msgspec.Struct, kw_only=True, gc=False):
    """One event; ``void`` ones, and outcomes after the first, changed nothing."""

    topic: str
    partition: int
    offset: int
    #: Append time in milliseconds.
    timestamp: int
    type: str
    void: bool
    #: Seconds by which its writer's clock was noticeably ahead of the log's: then the times within the event
    #: mean nothing beside others. No order and no deadline hangs on them.
    clock_ahead: float | None
    #: The event's fields but its payload; None when the log no longer holds it.
    event: dict[str, Any] | None


class History(msgspec.Struct, kw_only=True, gc=False):
    """All that happened to a task, as it happened."""

    task_id: str
    events: list[HistoryEvent]
    #: How many more there are on the log, copies among them: of each kind the first 200 are listed.
    left_out: int
    position: str


def left_out_of(document: TaskHistory) -> int:
    """How many events a history counts and does not list."""
    return sum(each.events for each in document.left_out)


async def events_of(log: EventLog, document: TaskHistory) -> list[HistoryEvent]:
    """The events of a history: those of each topic in the order of the log, the topics merged by append time.

    Raises:
        LogUnavailable: try again later.
    """
    entries = _in_order(document.entries)
    records = await log.read([Position(each.topic, each.partition, each.offset) for each in entries])
    return [_event(entry, record) for entry, record in zip(entries, records, strict=True)]


def _in_order(entries: Sequence[HistoryEntry]) -> list[HistoryEntry]:
    """Also where the log's clock was set back: each topic keeps its own order, and the task stands first."""
    asked = [entry for entry in entries if entry.topic == "tasks"]
    said = [entry for entry in entries if entry.topic != "tasks"]
    start = min(asked, key=_offset).timestamp if asked else 0
    return [entry for _, entry in merge(_rising(asked, start), _rising(said, start), key=itemgetter(0))]


def _rising(entries: Iterable[HistoryEntry], latest: int) -> Iterator[tuple[int, HistoryEntry]]:
    """The entries by offset, each with the latest append time up to it."""
    for entry in sorted(entries, key=_offset):
        latest = max(latest, entry.timestamp)
        yield latest, entry


def _event(entry: HistoryEntry, record: Record | None) -> HistoryEvent:
    fields = None if record is None else _fields(record)
    return HistoryEvent(
        topic=entry.topic,
        partition=entry.partition,
        offset=entry.offset,
        timestamp=entry.timestamp,
        type=entry.type,
        void=entry.void,
        clock_ahead=_ahead(entry, fields),
        event=fields,
    )


def _ahead(entry: HistoryEntry, fields: dict[str, Any] | None) -> float | None:
    ahead = 0 if fields is None else fields["occurred_at"] / 1e6 - entry.timestamp / 1e3
    return round(ahead, 3) if ahead > _NOTICEABLE else None


def _fields(record: Record) -> dict[str, Any] | None:
    try:
        fields = msgspec.structs.asdict(record.event())
    except DecodeError:
        return None
    fields.pop("payload", None)
    return fields
