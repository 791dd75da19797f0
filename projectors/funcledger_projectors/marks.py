"""Which entries count: one pass over a batch, before the folds see it."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from funcledger_projectors.fold import Entry
from funcledger_read_models.documents import EndpointHealth, Key, TaskStatus
from funcledger_schemas.events import Event, TaskEvent, TaskSubmitted
from funcledger_schemas.lifecycle import Epochs, is_about


class FirstSubmission(NamedTuple):
    """A task's first submission: its offset in ``tasks``, and its batch."""

    offset: int
    batch_id: str


class FirstSubmissions:
    """The first submissions of tasks, as far as they were read: before a batch, or in it."""

    def __init__(self, entries: Iterable[Entry[Event]], tasks: Mapping[Key, TaskStatus]) -> None:
        """``tasks`` are the documents, as they were before the batch, of all tasks that it is about."""
        self._before = tasks
        self._here: dict[Key, FirstSubmission] = {}
        for entry in entries:
            if type(event := entry.event) is TaskSubmitted:
                self._here.setdefault(entry.key, FirstSubmission(entry.offset, event.batch_id))

    def of(self, key: Key) -> FirstSubmission | None:
        """The task's first submission; None where it was not read yet."""
        known = self._before.get(key)
        if known is not None and known.submitted_offset is not None:
            return FirstSubmission(known.submitted_offset, known.batch_id)
        return self._here.get(key)


def mark(
    entries: Iterable[Entry[Event]], health: Iterable[EndpointHealth], submissions: FirstSubmissions
) -> list[Entry[Event]]:
    """Mark what does not count as void; the entries of which only a submission not read yet can tell.

    Void is what is not the current agent's (law 7), what is about a task that was not submitted so, and every
    submission but a task's first. ``health`` are the documents, as they were before this batch, of all
    endpoints that it is about.
    """
    epochs = Epochs({document.endpoint_id: document.epochs for document in health})
    early = []
    for entry in entries:
        event = entry.event
        if entry.topic == "results":
            entry.void = not epochs.admit(entry.offset, event)
            if isinstance(event, TaskEvent) and not is_settled(entry, submissions):
                early.append(entry)
        elif type(event) is TaskSubmitted:
            first = submissions.of(entry.key)
            entry.void = first is not None and first.offset < entry.offset
    return early


def is_settled(entry: Entry[Event], submissions: FirstSubmissions) -> bool:
    """Mark an entry about a task by its submission; whether that was read."""
    submission = submissions.of(entry.key)
    if submission is None:
        return False
    if not is_about(entry.event, *submission):  # type: ignore[arg-type]
        entry.void = True
    return True
