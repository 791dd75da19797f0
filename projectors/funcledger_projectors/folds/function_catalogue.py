"""The fold of ``function_catalogue``: every function but its body."""

from funcledger_projectors.fold import Entry, Fold
from funcledger_read_models.documents import FUNCTION_CATALOGUE, FunctionEntry
from funcledger_schemas.events import FunctionDeleted, FunctionRegistered

_COPIED = (
    "function_id", "owner", "name", "description", "metadata", "public", "group", "python_version",
    "dill_version", "payload_sha256", "payload_size",
)  # fmt: skip


def registered(document: FunctionEntry | None, entry: Entry[FunctionRegistered]) -> FunctionEntry | None:
    """The first registration of an id stands; the body is read from its record."""
    if document is not None:
        return None
    return FunctionEntry(
        **{name: getattr(entry.event, name) for name in _COPIED},
        partition=entry.partition,
        offset=entry.offset,
        registered_at=entry.timestamp,
    )


def deleted(document: FunctionEntry | None, entry: Entry[FunctionDeleted]) -> FunctionEntry | None:
    """For good."""
    if document is None or document.deleted:
        return None
    document.deleted = True
    return document


FOLD = Fold(FUNCTION_CATALOGUE, {FunctionRegistered: registered, FunctionDeleted: deleted})
