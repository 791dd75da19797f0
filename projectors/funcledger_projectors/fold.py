"""What a fold is: for each event class a pure function of the document so far and one entry of the log."""

from collections.abc import Callable, Iterable, Mapping
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
#: An entry, with the key of the document it touches.
Step = tuple[Key, Entry[Event]]


@dataclass(frozen=True, slots=True, eq=False)
class Fold:
    """How one read model comes from the log; ``of_void`` are the few handlers that look at void entries."""

    model: Model
    handlers: Mapping[type[Event], Handler]
    of_void: Mapping[type[Event], Handler] = field(default_factory=dict)
    #: The key of the document that an entry touches, None where it is the entry's own.
    key: Callable[[Entry[Any]], Key] | None = None


def apply(fold: Fold, steps: Iterable[Step], documents: dict[Key, Document]) -> dict[Key, Document]:
    """Take the steps in order over ``documents``, which are brought up to date; those that changed."""
    changed: dict[Key, Document] = {}
    handlers, of_void = fold.handlers, fold.of_void
    for key, entry in steps:
        handler = (of_void if entry.void else handlers).get(type(entry.event))
        document = handler(documents.get(key), entry) if handler is not None else None
        if document is not None:
            documents[key] = changed[key] = document
    return changed
