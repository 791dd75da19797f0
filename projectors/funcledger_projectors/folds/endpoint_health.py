"""The fold of ``endpoint_health``: what is known of each endpoint and its agent.

``endpoints``, ``results`` and ``heartbeats`` each write fields of their own, so they may come in any
relative order. Whether a heartbeat is the current agent's is asked when the document is read.
"""

from funcledger_projectors.fold import Entry, Fold
from funcledger_read_models.documents import ENDPOINT_HEALTH, EndpointHealth
from funcledger_schemas.events import (
    EndpointDeleted,
    EndpointHeartbeat,
    EndpointRegistered,
    EndpointStarted,
    EndpointStopped,
)
from funcledger_schemas.lifecycle import NO_EPOCH, Epochs

#: Heartbeats remembered by id: more than a retried append can bring again.
_REMEMBERED = 32


def registered(document: EndpointHealth | None, entry: Entry[EndpointRegistered]) -> EndpointHealth | None:
    """The first registration of an id stands."""
    event = entry.event
    document = document or EndpointHealth(endpoint_id=event.endpoint_id)
    if document.registered_at is not None:
        return None
    for name in ("name", "owner", "description", "metadata", "public", "partition"):
        setattr(document, name, getattr(event, name))
    document.registered_at = entry.timestamp
    return document


def deleted(document: EndpointHealth | None, entry: Entry[EndpointDeleted]) -> EndpointHealth | None:
    """For good."""
    document = document or EndpointHealth(endpoint_id=entry.event.endpoint_id)
    if document.deleted:
        return None
    document.deleted = True
    return document


def started(document: EndpointHealth | None, entry: Entry[EndpointStarted]) -> EndpointHealth | None:
    """An agent that takes over."""
    event = entry.event
    document = document or EndpointHealth(endpoint_id=event.endpoint_id)
    epochs = Epochs({event.endpoint_id: document.epochs})
    epochs.admit(entry.offset, event)
    if epochs.known[event.endpoint_id] == document.epochs:
        return None
    document.epochs = epochs.known[event.endpoint_id]
    for name in ("instance_id", "host", "platform", "python_version", "agent_version", "engine"):
        setattr(document, name, getattr(event, name))
    document.started_workers = event.workers
    document.started_at = entry.timestamp
    return document


def stopped(document: EndpointHealth | None, entry: Entry[EndpointStopped]) -> EndpointHealth | None:
    """The agent left; one that does not say in which epoch it was says nothing."""
    event = entry.event
    document = document or EndpointHealth(endpoint_id=event.endpoint_id)
    if event.epoch is None or event.epoch <= _epoch(document.stopped_epoch):
        return None
    document.stopped_epoch, document.stop_reason = event.epoch, event.reason
    return document


def heartbeat(document: EndpointHealth | None, entry: Entry[EndpointHeartbeat]) -> EndpointHealth | None:
    """A sign of life, unless it is a copy or of an agent older than one heard already."""
    event = entry.event
    document = document or EndpointHealth(endpoint_id=event.endpoint_id)
    older = _epoch(event.epoch) < _epoch(document.heartbeat_epoch)
    if older or event.event_id in document.heartbeat_ids:
        return None
    for name in ("workers", "busy", "queued", "cores", "memory_total", "memory_available", "load"):
        setattr(document, name, getattr(event, name))
    document.heartbeat_at, document.heartbeat_epoch = entry.timestamp, event.epoch
    document.heartbeat_ids = [*document.heartbeat_ids, event.event_id][-_REMEMBERED:]
    return document


def _epoch(epoch: int | None) -> int:
    return NO_EPOCH if epoch is None else epoch


FOLD = Fold(
    ENDPOINT_HEALTH,
    {
        EndpointRegistered: registered,
        EndpointDeleted: deleted,
        EndpointStarted: started,
        EndpointStopped: stopped,
        EndpointHeartbeat: heartbeat,
    },
    key=lambda entry: (entry.event.endpoint_id,),
)
