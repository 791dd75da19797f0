"""A task's history: every event about it on the log, payloads apart."""

from typing import Any

import msgspec

from funcledger_event_log.port import EventLog
from funcledger_event_log.records import DecodeError, Position, Record
from funcledger_read_models.documents import HistoryEntry, TaskHistory


class HistoryEvent(msgspec.Struct, kw_only=True, gc=False):
    """One event; ``void`` ones, and outcomes after the first, changed nothing."""

    topic: str
    partition: int
    offset: int
    #: Append time in milliseconds.
    timestamp: int
    type: str
    void: bool
    #: The event's fields but its payload; None when the log no longer holds it.
    event: dict[str, Any] | None


class History(msgspec.Struct, kw_only=True, gc=False):
    """All that happened to a task, as it happened."""

    task_id: str
    events: list[HistoryEvent]
    position: str


async def events_of(log: EventLog, document: TaskHistory) -> list[HistoryEvent]:
    """The events of a history, by append time; submissions before what came of them.

    Raises:
        LogUnavailable: try again later.
    """
    entries = sorted(document.entries, key=_place)
    records = await log.read([Position(each.topic, each.partition, each.offset) for each in entries])
    return [_event(entry, record) for entry, record in zip(entries, records, strict=True)]


def _place(entry: HistoryEntry) -> tuple[int, bool, int]:
    return entry.timestamp, entry.topic != "tasks", entry.offset


def _event(entry: HistoryEntry, record: Record | None) -> HistoryEvent:
    return HistoryEvent(
        topic=entry.topic,
        partition=entry.partition,
        offset=entry.offset,
        timestamp=entry.timestamp,
        type=entry.type,
        void=entry.void,
        event=None if record is None else _fields(record),
    )


def _fields(record: Record) -> dict[str, Any] | None:
    try:
        fields = msgspec.structs.asdict(record.event())
    except DecodeError:
        return None
    fields.pop("payload", None)
    return fields
