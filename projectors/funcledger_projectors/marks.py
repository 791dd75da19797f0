"""Which entries count: one pass over a batch, before the folds see it."""

from collections.abc import Iterable, Mapping

from funcledger_projectors.fold import Entry
from funcledger_read_models.documents import EndpointHealth, Key, TaskStatus
from funcledger_schemas.events import Event, TaskSubmitted
from funcledger_schemas.lifecycle import Epochs


def mark(
    entries: Iterable[Entry[Event]], health: Iterable[EndpointHealth], tasks: Mapping[Key, TaskStatus]
) -> None:
    """Mark as void what is not the current agent's (law 7) and every submission but a task's first.

    ``health`` and ``tasks`` are the documents, as they were before this batch, of all endpoints and
    tasks that it is about.
    """
    epochs = Epochs({document.endpoint_id: document.epochs for document in health})
    firsts: dict[Key, int] = {}
    for entry in entries:
        if entry.topic == "results":
            entry.void = not epochs.admit(entry.offset, entry.event)
        elif type(entry.event) is TaskSubmitted:
            entry.void = _first(entry, firsts, tasks) < entry.offset


def _first(entry: Entry[Event], firsts: dict[Key, int], tasks: Mapping[Key, TaskStatus]) -> int:
    """The offset of the task's first submission."""
    known = tasks.get(entry.key)
    if known is not None and known.submitted_offset is not None:
        return known.submitted_offset
    return firsts.setdefault(entry.key, entry.offset)
