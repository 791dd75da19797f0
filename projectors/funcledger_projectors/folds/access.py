"""The fold of ``access``: who may use each function and endpoint."""

from collections.abc import Callable
from typing import Any

from funcledger_projectors.fold import Entry, Fold
from funcledger_read_models.documents import ACCESS, Access, Key
from funcledger_schemas.events import (
    EndpointDeleted,
    EndpointRegistered,
    EndpointShared,
    EndpointUnshared,
    FunctionDeleted,
    FunctionRegistered,
    FunctionShared,
    FunctionUnshared,
)

#: Changes remembered by id: more than a retried append can bring again.
REMEMBERED = 100

Registered = FunctionRegistered | EndpointRegistered
Deleted = FunctionDeleted | EndpointDeleted
Change = FunctionShared | FunctionUnshared | EndpointShared | EndpointUnshared


def registered(document: Access | None, entry: Entry[Registered]) -> Access | None:
    """The first registration of an id stands; a function may name a group at once."""
    if document is not None:
        return None
    kind, resource_id = _key(entry)
    event = entry.event
    group = event.group if isinstance(event, FunctionRegistered) else None
    return Access(
        kind=kind,
        resource_id=resource_id,
        owner=event.owner,
        public=event.public,
        listed=event.public,
        groups=[group] if group else [],
    )


def deleted(document: Access | None, entry: Entry[Deleted]) -> Access | None:
    """For good."""
    if document is None or document.deleted:
        return None
    document.deleted = True
    document.listed = False
    return document


def shared(document: Access | None, entry: Entry[Change]) -> Access | None:
    """Open to one more user or group."""
    return _change(document, entry, lambda names, name: sorted({*names, name}))


def unshared(document: Access | None, entry: Entry[Change]) -> Access | None:
    """No longer open to a user or group."""
    return _change(document, entry, lambda names, name: [known for known in names if known != name])


def _change(
    document: Access | None, entry: Entry[Change], change: Callable[[list[str], str], list[str]]
) -> Access | None:
    event = entry.event
    if document is None or event.event_id in document.changes:
        return None
    if event.grantee_kind == "group":
        document.groups = change(document.groups, event.grantee)
    else:
        document.users = change(document.users, event.grantee)
    document.changes = [*document.changes, event.event_id][-REMEMBERED:]
    return document


def _key(entry: Entry[Any]) -> Key:
    return ("function" if entry.topic == "functions" else "endpoint", entry.key[0])


FOLD = Fold(
    ACCESS,
    {
        **dict.fromkeys((FunctionRegistered, EndpointRegistered), registered),
        **dict.fromkeys((FunctionShared, EndpointShared), shared),
        **dict.fromkeys((FunctionUnshared, EndpointUnshared), unshared),
        **dict.fromkeys((FunctionDeleted, EndpointDeleted), deleted),
    },
    key=_key,
)
