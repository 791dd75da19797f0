"""One batch of records on its way into the read models: read, planned, then folded over documents."""

from collections.abc import Callable, Iterable, Sequence
from functools import cache
from typing import Any

from funcledger_event_log.records import Record
from funcledger_projectors.fold import Entry, Fold, Step, apply
from funcledger_projectors.folds import FOLDS
from funcledger_projectors.marks import mark
from funcledger_projectors.reading import read
from funcledger_read_models.documents import ENDPOINT_HEALTH, TASK_STATUS, Document, Key, Model
from funcledger_schemas.events import Event

Wanted = dict[Model, dict[Key, None]]
Changed = dict[Model, dict[Key, Document]]
#: Where a fold's steps are added, and what says which document a step touches, as in :attr:`Fold.key`.
Way = tuple[Callable[[Step], None], Callable[[Entry[Any]], Key] | None]


class Batch:
    """What a batch is about, and what becomes of it; needs no store and no clock."""

    def __init__(self, records: Sequence[Record]) -> None:
        #: Per partition it holds records of, the offset after the last.
        self.ends = {(each.topic, each.partition): each.offset + 1 for each in records}
        self._entries, self.poison = read(records)
        self._steps: dict[Fold, list[Step]] = {fold: [] for fold in FOLDS}
        ways = {kind: self._ways(kind) for kind in {type(entry.event) for entry in self._entries}}
        for entry in self._entries:
            for step, key in ways[type(entry.event)]:
                step((entry.key if key is None else key(entry), entry))

    def _ways(self, kind: type[Event]) -> list[Way]:
        return [(self._steps[fold].append, fold.key) for fold in _concerned(kind)]

    def __len__(self) -> int:
        return len(self._entries)

    def wanted(self) -> Wanted:
        """The keys of every document it touches or needs, in the order they come up."""
        wanted: Wanted = {
            fold.model: dict.fromkeys([key for key, _ in steps])
            for fold, steps in self._steps.items()
            if steps
        }
        events: Iterable[Any] = (entry.event for entry in self._entries if entry.topic == "results")
        if endpoints := {event.endpoint_id for event in events}:
            wanted.setdefault(ENDPOINT_HEALTH, {}).update(
                dict.fromkeys((each,) for each in sorted(endpoints))
            )
        return wanted

    def fold(self, documents: Changed) -> Changed:
        """Bring the documents up to date; those that changed."""
        health: Any = documents.get(ENDPOINT_HEALTH, {})
        tasks: Any = documents.get(TASK_STATUS, {})
        mark(self._entries, health.values(), tasks)
        folded = {
            fold.model: apply(fold, steps, documents.setdefault(fold.model, {}))
            for fold, steps in self._steps.items()
        }
        return {model: changed for model, changed in folded.items() if changed}


@cache
def _concerned(kind: type[Event]) -> tuple[Fold, ...]:
    return tuple(fold for fold in FOLDS if kind in fold.handlers or kind in fold.of_void)
