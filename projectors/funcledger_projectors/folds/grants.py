"""The fold of ``grants``: what is shared with each user and group, for whoever lists it.

It leads to what a user may see and does not decide it: ``access`` does.
"""

from typing import Any

from funcledger_projectors.fold import Entry, Fold
from funcledger_projectors.folds.access import REMEMBERED
from funcledger_read_models.documents import GRANTS, Grant, Key, scope
from funcledger_schemas.events import (
    EndpointShared,
    EndpointUnshared,
    FunctionRegistered,
    FunctionShared,
    FunctionUnshared,
)

Change = FunctionShared | FunctionUnshared | EndpointShared | EndpointUnshared


def registered(document: Grant | None, entry: Entry[FunctionRegistered]) -> Grant | None:
    """A function may name a group at once."""
    return None if entry.event.group is None else _change(document, entry, True)


def shared(document: Grant | None, entry: Entry[Change]) -> Grant | None:
    """Open to one more user or group."""
    return _change(document, entry, True)


def unshared(document: Grant | None, entry: Entry[Change]) -> Grant | None:
    """No longer open to a user or group."""
    return _change(document, entry, False)


def _change(document: Grant | None, entry: Entry[Any], is_open: bool) -> Grant | None:
    name, resource_id = _key(entry)
    document = document or Grant(scope=name, resource_id=resource_id)
    if entry.event.event_id in document.changes:
        return None
    document.open = is_open
    document.changes = [*document.changes, entry.event.event_id][-REMEMBERED:]
    return document


def _key(entry: Entry[Any]) -> Key:
    event, kind = entry.event, "function" if entry.topic == "functions" else "endpoint"
    if isinstance(event, FunctionRegistered):
        return (scope(kind, "group", event.group or ""), event.function_id)
    return (scope(kind, event.grantee_kind, event.grantee), entry.key[0])


FOLD = Fold(
    GRANTS,
    {
        FunctionRegistered: registered,
        **dict.fromkeys((FunctionShared, EndpointShared), shared),
        **dict.fromkeys((FunctionUnshared, EndpointUnshared), unshared),
    },
    key=_key,
)
