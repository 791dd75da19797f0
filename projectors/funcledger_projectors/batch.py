"""One batch of records on its way into the read models: read, grouped, then folded over documents."""

from collections.abc import Callable, Iterable, Sequence
from functools import cache
from typing import Any

from funcledger_event_log.records import Record
from funcledger_projectors import held
from funcledger_projectors.fold import Entry, Group, KeyOf, apply, touched
from funcledger_projectors.folds import FOLDS
from funcledger_projectors.marks import FirstSubmissions, mark
from funcledger_projectors.reading import read
from funcledger_read_models.documents import (
    ENDPOINT_HEALTH,
    HELD_EVENTS,
    TASK_STATUS,
    Document,
    Key,
    Model,
)
from funcledger_schemas.events import Event

Wanted = dict[Model, dict[Key, None]]
Changed = dict[Model, dict[Key, Document]]


class Batch:
    """What a batch is about, and what becomes of it; needs no store and no clock."""

    def __init__(self, records: Sequence[Record]) -> None:
        #: How many records it was made of.
        self.records = len(records)
        #: Per partition it holds records of, the offset after the last.
        self.ends = {(each.topic, each.partition): each.offset + 1 for each in records}
        #: What is to be saved once all else is: copies of events that were kept, and are folded now.
        self.settled: Changed = {}
        self._entries, self.poison = read(records)
        self._group(self._entries)

    def _group(self, entries: Sequence[Entry[Event]]) -> None:
        #: Per way of keying, what stands under each key: folds that key alike look into the same.
        self._groups: dict[KeyOf | None, Group] = {fold.key: {} for fold in FOLDS}
        kinds = {type(entry.event) for entry in entries}
        self._folds = [fold for fold in FOLDS if any(map(fold.concerns, kinds))]
        for entry in entries:
            for key_of in _ways(type(entry.event)):
                group = self._groups[key_of]
                key = entry.key if key_of is None else key_of(entry)
                if key in group:
                    group[key].append(entry)
                else:
                    group[key] = [entry]

    def __len__(self) -> int:
        return len(self._entries)

    def wanted(self) -> Wanted:
        """The keys of every document it touches or needs, in the order they come up."""
        wanted: Wanted = {}
        for fold in self._folds:
            if keys := touched(fold, self._groups[fold.key]):
                wanted[fold.model] = keys
        events: Iterable[Any] = (entry.event for entry in self._entries if entry.topic == "results")
        if endpoints := {event.endpoint_id for event in events}:
            wanted.setdefault(ENDPOINT_HEALTH, {}).update(
                dict.fromkeys((each,) for each in sorted(endpoints))
            )
        return wanted

    def wanted_then(self, documents: Changed) -> Wanted:
        """What else is needed, which those that :meth:`wanted` asks for tell; most often nothing."""
        tasks: Any = documents.get(TASK_STATUS, {})
        return {HELD_EVENTS: keys} if (keys := held.wanted(self._entries, tasks)) else {}

    def fold(self, documents: Changed) -> Changed:
        """Bring the documents up to date; those that changed, in the order to write them in."""
        health: Any = documents.get(ENDPOINT_HEALTH, {})
        tasks: Any = documents.get(TASK_STATUS, {})
        kept: Any = documents.get(HELD_EVENTS, {})
        submissions = FirstSubmissions(self._entries, tasks)
        early = mark(self._entries, health.values(), submissions)
        late = held.released(kept.values(), submissions)
        self.settled = {HELD_EVENTS: dict(held.emptied(kept))} if late else {}
        if early or late:
            waiting = {id(entry) for entry in early}
            self._group([*late, *(each for each in self._entries if id(each) not in waiting)])
        folded: dict[Model, Any] = {
            fold.model: apply(fold, self._groups[fold.key], documents.get(fold.model, {}))
            for fold in self._folds
        }
        if early:
            changed = folded.setdefault(TASK_STATUS, {})
            counted, folded[HELD_EVENTS] = held.hold(early, tasks | changed)
            changed.update(counted)
        # Where not all is written at once, what counts others says so last: then they are there.
        last = {TASK_STATUS: folded.pop(TASK_STATUS, {})}
        return {model: changed for model, changed in (folded | last).items() if changed}


@cache
def _ways(kind: type[Event]) -> tuple[Callable[[Entry[Any]], Key] | None, ...]:
    """How the folds that are concerned with a class of events key it."""
    return tuple({fold.key: None for fold in FOLDS if fold.concerns(kind)})
