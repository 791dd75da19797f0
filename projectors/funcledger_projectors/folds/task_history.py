"""The fold of ``task_history``: every event about a task; ignored ones are flagged, copies left out."""

from bisect import insort
from collections.abc import Mapping

from funcledger_projectors.fold import Entry, Fold, Handler
from funcledger_projectors.folds.progress import OUTCOMES, Progress
from funcledger_read_models.documents import TASK_HISTORY, HistoryEntry, TaskHistory
from funcledger_schemas.events import (
    Event,
    TaskAttemptFailed,
    TaskCancelRequested,
    TaskStarted,
    TaskSubmitted,
)
from funcledger_schemas.lifecycle import OUTCOMES as OUTCOME_NAMES


def happened(
    document: TaskHistory | None, entry: Entry[TaskSubmitted | TaskCancelRequested | Progress]
) -> TaskHistory | None:
    """One more event, unless it is a copy of one that is listed."""
    event = entry.event
    if document is None:
        document = TaskHistory(
            owner=event.owner,
            task_id=event.task_id,
            endpoint_id=event.endpoint_id,
            entries=[],
        )
    listed = HistoryEntry(
        topic=entry.topic,
        partition=entry.partition,
        offset=entry.offset,
        timestamp=entry.timestamp,
        type=type(event).__name__,
        event_id=event.event_id,
        void=entry.void,
    )
    for known in document.entries:
        if known.topic == listed.topic and known.event_id == listed.event_id:
            return None
        if _settles(known, listed):
            listed.void = True
    insort(document.entries, listed, key=_place)
    return document


def _place(entry: HistoryEntry) -> tuple[bool, int]:
    return entry.topic != "tasks", entry.offset


def _settles(known: HistoryEntry, listed: HistoryEntry) -> bool:
    """Whether the one is an outcome that comes before the other (law 5)."""
    if listed.type not in OUTCOME_NAMES or known.type not in OUTCOME_NAMES:
        return False
    return not known.void and known.offset < listed.offset


_HANDLERS: Mapping[type[Event], Handler] = dict.fromkeys(
    (TaskSubmitted, TaskCancelRequested, TaskStarted, TaskAttemptFailed, *OUTCOMES), happened
)
FOLD = Fold(TASK_HISTORY, _HANDLERS, of_void=_HANDLERS)
