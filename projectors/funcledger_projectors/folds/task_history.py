"""The fold of ``task_history``: the events about a task; ignored ones are flagged, copies left out.

Who audits a task needs what happened first of each kind: the submission that counts and the others, who
asked first that it be cancelled, every attempt, the outcome and those that came too late. So the first
events of each kind are listed, apart from void ones, which therefore cannot crowd them out; the rest is
counted. All of them stand on the log.
"""

from bisect import insort
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from funcledger_projectors.fold import Entry, Fold, Handler
from funcledger_projectors.folds.progress import OUTCOMES
from funcledger_read_models.documents import TASK_HISTORY, HistoryEntry, LeftOut, TaskHistory
from funcledger_schemas.events import (
    Event,
    TaskAttemptFailed,
    TaskCancelRequested,
    TaskStarted,
    TaskSubmitted,
)
from funcledger_schemas.lifecycle import OUTCOMES as OUTCOME_NAMES
from funcledger_schemas.limits import HISTORY_LISTED

#: Entries of a short history: nearly every task has fewer.
_FEW = 16


def happened(document: TaskHistory | None, entries: Sequence[Entry[Any]]) -> TaskHistory | None:
    """More events, but for copies of those that are listed."""
    if document is None:
        event = entries[0].event
        document = TaskHistory(
            owner=event.owner, task_id=event.task_id, endpoint_id=event.endpoint_id, entries=[]
        )
    add = _Listing(document).add if len(document.entries) + len(entries) > _FEW else partial(_add, document)
    added = [add(entry) for entry in entries]
    return document if any(added) else None


def _add(document: TaskHistory, entry: Entry[Any]) -> bool:
    """As :meth:`_Listing.add`, of a history so short that looking through it is quicker than making that."""
    listed = _listed(entry)
    topic, event_id, is_outcome = listed.topic, listed.event_id, listed.type in OUTCOME_NAMES
    for known in document.entries:
        if known.event_id == event_id and known.topic == topic:
            return False
        if is_outcome and not known.void and known.offset < listed.offset and known.type in OUTCOME_NAMES:
            listed.void = True
    _insert(document.entries, listed)
    return True


class _Listing:
    """A history while a batch is added to it; what it lists is at hand by id and by kind."""

    def __init__(self, document: TaskHistory) -> None:
        self._entries, self._left_out = document.entries, document.left_out
        self._ids = {(each.topic, each.event_id) for each in self._entries}
        self._kinds = Counter((each.type, each.void) for each in self._entries)
        outcomes = [each.offset for each in self._entries if each.type in OUTCOME_NAMES and not each.void]
        self._settled = min(outcomes, default=None)

    def add(self, entry: Entry[Any]) -> bool:
        """List the event or count it; whether it is a new one."""
        listed = _listed(entry)
        if (listed.topic, listed.event_id) in self._ids:
            return False
        if listed.type in OUTCOME_NAMES:
            self._settle(listed)
        kind = (listed.type, listed.void)
        if self._kinds[kind] >= HISTORY_LISTED:
            return self._count(listed)
        self._kinds[kind] += 1
        self._ids.add((listed.topic, listed.event_id))
        _insert(self._entries, listed)
        return True

    def _settle(self, outcome: HistoryEntry) -> None:
        """Law 5: an outcome after the first changes nothing."""
        if self._settled is not None and self._settled < outcome.offset:
            outcome.void = True
        elif not outcome.void:
            self._settled = outcome.offset

    def _count(self, event: HistoryEntry) -> bool:
        """Count an event, unless it was counted before: a topic's records come by offset, perhaps again."""
        known = next((each for each in self._left_out if each.topic == event.topic), None)
        if known is None:
            self._left_out.append(LeftOut(topic=event.topic, events=1, offset=event.offset))
            self._left_out.sort(key=lambda each: each.topic, reverse=True)
            return True
        if event.offset <= known.offset:
            return False
        known.events, known.offset = known.events + 1, event.offset
        return True


def _listed(entry: Entry[Any]) -> HistoryEntry:
    event = entry.event
    return HistoryEntry(
        topic=entry.topic,
        partition=entry.partition,
        offset=entry.offset,
        timestamp=entry.timestamp,
        type=type(event).__name__,
        event_id=event.event_id,
        void=entry.void,
    )


def _insert(entries: list[HistoryEntry], listed: HistoryEntry) -> None:
    place = _place(listed)
    if not entries or _place(entries[-1]) <= place:
        entries.append(listed)  # nearly all come in order
    else:
        insort(entries, listed, key=_place)


def _place(entry: HistoryEntry) -> tuple[bool, int]:
    return entry.topic != "tasks", entry.offset


def _alone(document: TaskHistory | None, entry: Entry[Any]) -> TaskHistory | None:
    return happened(document, [entry])


_HANDLERS: Mapping[type[Event], Handler] = dict.fromkeys(
    (TaskSubmitted, TaskCancelRequested, TaskStarted, TaskAttemptFailed, *OUTCOMES), _alone
)
FOLD = Fold(TASK_HISTORY, _HANDLERS, of_void=_HANDLERS, together=happened)
