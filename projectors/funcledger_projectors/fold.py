"""What a fold is: for each event class a pure function of the document so far and one entry of the log."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

import msgspec

from funcledger_read_models.documents import Document, Key, Model
from funcledger_schemas.events import Event

E = TypeVar("E", bound=Event)


class Entry(msgspec.Struct, Generic[E], gc=False):
    """One event as folds see it: where and when it was appended, what it is about, whether it counts."""

    topic: str
    partition: int
    offset: int
    #: Append time in milliseconds.
    timestamp: int
    event: E
    #: The key of the task, endpoint or function it is about.
    key: Key
    #: Whether the laws say to ignore it: not the current agent's (law 7), or a second submission.
    void: bool = False


#: Takes the document, None when there is none yet, and an entry; gives the document to be saved, or
#: None when the entry changes nothing. It may change the document it was given.
Handler = Callable[[Any, Any], Document | None]
#: The same for all entries of a batch that stand under one key: for a document in which each entry has to be
#: looked for, so that what they have in common is made ready once.
Together = Callable[[Any, Sequence[Any]], Document | None]
#: Gives the key of the document that an entry touches.
KeyOf = Callable[[Entry[Any]], Key]
#: Per key, the entries that stand under it, in the order they were given.
Group = dict[Key, list[Entry[Event]]]


@dataclass(frozen=True, slots=True, eq=False)
class Fold:
    """How one read model comes from the log; ``of_void`` are the few handlers that look at void entries.

    A document depends on the entries under its own key alone, and on their order. The work of a handler does
    not grow with the events it has seen before: one user can send any number about one key.
    """

    model: Model
    handlers: Mapping[type[Event], Handler]
    of_void: Mapping[type[Event], Handler] = field(default_factory=dict)
    #: None where the key of the document is the entry's own.
    key: KeyOf | None = None
    #: Takes the place of the handlers, which then only say which entries it is given.
    together: Together | None = None

    def concerns(self, kind: type[Event]) -> bool:
        """Whether entries of this class may change a document."""
        return kind in self.handlers or kind in self.of_void


def touched(fold: Fold, group: Group) -> dict[Key, None]:
    """The keys of a group under which there is anything for this fold."""
    handlers, of_void = fold.handlers, fold.of_void
    found: dict[Key, None] = {}
    for key, entries in group.items():
        for entry in entries:
            if (kind := type(entry.event)) in handlers or kind in of_void:
                found[key] = None
                break
    return found


def apply(fold: Fold, group: Group, documents: Mapping[Key, Document]) -> dict[Key, Document]:
    """Fold each key's entries over its document; the documents that changed."""
    if fold.together is not None:
        return _apply_together(fold, fold.together, group, documents)
    changed: dict[Key, Document] = {}
    handlers, of_void = fold.handlers, fold.of_void
    for key, entries in group.items():
        document, moved = documents.get(key), False
        for entry in entries:
            handler = (of_void if entry.void else handlers).get(type(entry.event))
            if handler is not None and (folded := handler(document, entry)) is not None:
                document, moved = folded, True
        if moved and document is not None:
            changed[key] = document
    return changed


def _apply_together(
    fold: Fold, together: Together, group: Group, documents: Mapping[Key, Document]
) -> dict[Key, Document]:
    changed: dict[Key, Document] = {}
    handlers, of_void = fold.handlers, fold.of_void
    alike = handlers is of_void
    for key, entries in group.items():
        looked_at = [
            each for each in entries if type(each.event) in (handlers if alike or not each.void else of_void)
        ]
        if looked_at and (document := together(documents.get(key), looked_at)) is not None:
            changed[key] = document
    return changed
