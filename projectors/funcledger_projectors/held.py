"""Events about tasks whose submission was not read yet: kept, and given to the folds once it is (law 4).

Partitions are read in any relative order, so an outcome may come before the submission that tells whether
it is one. Each is a document of its own, so that keeping one costs the same however many there are. Once it
has been folded its copy of the event is emptied, so that no payload stays in two places: what is erased is
looked for in one.
"""

from collections.abc import Iterable, Mapping

from msgspec.structs import replace

from funcledger_projectors.fold import Entry
from funcledger_projectors.marks import FirstSubmissions, is_settled
from funcledger_read_models.documents import INLINE_LIMIT, HeldEvent, Key, TaskStatus
from funcledger_schemas import codec, manifest
from funcledger_schemas.events import Event, TaskSubmitted
from funcledger_schemas.proof import without_payload


def wanted(entries: Iterable[Entry[Event]], tasks: Mapping[Key, TaskStatus]) -> dict[Key, None]:
    """The keys of all that was kept for the submissions among these entries."""
    waiting = {key: task for key, task in tasks.items() if task.submitted_offset is None and task.held}
    if not waiting:
        return {}
    keys = {each.key: None for each in entries if type(each.event) is TaskSubmitted}
    return {
        (*key, str(number)): None for key in keys if key in waiting for number in range(waiting[key].held)
    }


def released(documents: Iterable[HeldEvent], submissions: FirstSubmissions) -> list[Entry[Event]]:
    """What was kept, as entries in the order of the log, marked by the submissions that have been read."""
    kept = sorted((each for each in documents if each.value), key=lambda each: each.offset)
    entries = [_entry(document) for document in kept]
    for entry in entries:
        is_settled(entry, submissions)  # it is: what was kept for a task is asked for with its submission
    return entries


def emptied(documents: Mapping[Key, HeldEvent]) -> dict[Key, HeldEvent]:
    """What is left of these once they are folded: where they stood, and nothing of what they said."""
    return {key: replace(each, dataschema="", value=b"") for key, each in documents.items() if each.value}


def hold(
    entries: Iterable[Entry[Event]], tasks: Mapping[Key, TaskStatus]
) -> tuple[dict[Key, TaskStatus], dict[Key, HeldEvent]]:
    """Keep these entries; the tasks' documents that count them, and one for each of them."""
    counted: dict[Key, TaskStatus] = {}
    held: dict[Key, HeldEvent] = {}
    for entry in entries:
        task = counted.get(entry.key) or tasks.get(entry.key) or _unknown(entry.key)
        if entry.offset <= task.held_until:
            continue  # written before a crash, while the position was not
        number = str(task.held)
        held[*entry.key, number] = _document(entry, number)
        task.held, task.held_until = task.held + 1, entry.offset
        counted[entry.key] = task
    return counted, held


def _unknown(key: Key) -> TaskStatus:
    owner, task_id, endpoint_id = key
    return TaskStatus(owner=owner, task_id=task_id, endpoint_id=endpoint_id, batch_id="")


def _document(entry: Entry[Event], number: str) -> HeldEvent:
    owner, task_id, endpoint_id = entry.key
    event = entry.event
    if len(getattr(event, "payload", b"")) > INLINE_LIMIT:
        event = without_payload(event)
    return HeldEvent(
        owner=owner,
        task_id=task_id,
        endpoint_id=endpoint_id,
        number=number,
        partition=entry.partition,
        offset=entry.offset,
        timestamp=entry.timestamp,
        dataschema=manifest.latest(type(event).__name__).dataschema,
        value=codec.encode(event),
        void=entry.void,
    )


def _entry(document: HeldEvent) -> Entry[Event]:
    return Entry(
        "results",
        document.partition,
        document.offset,
        document.timestamp,
        codec.decode(document.value, document.dataschema),
        (document.owner, document.task_id, document.endpoint_id),
        document.void,
    )


__all__ = ["emptied", "hold", "released", "wanted"]
