"""What an agent may say: events of its own endpoint, about what agents see happen."""

from funcledger_event_log.endpoint_port import CredentialRefused
from funcledger_schemas.envelope import topic_of
from funcledger_schemas.events import Event

_TOPICS = frozenset({"results", "heartbeats"})


def check_own(event: Event, endpoint_id: str) -> None:
    """Refuse what the agent of this endpoint may not say; an event without an epoch is the keeper's.

    Raises:
        CredentialRefused: another endpoint's, another topic's, another actor's, or one without an epoch.
    """
    kind = type(event).__name__
    if topic_of(type(event)) not in _TOPICS:
        raise CredentialRefused(f"{kind} is not for endpoints to say; theirs go to results and heartbeats")
    if getattr(event, "endpoint_id", None) != endpoint_id or event.actor != f"endpoint:{endpoint_id}":
        raise CredentialRefused(
            f"this credential speaks for endpoint {endpoint_id}; the {kind} names another endpoint or actor"
        )
    if getattr(event, "epoch", 0) is None:
        raise CredentialRefused(f"an agent's {kind} carries its epoch: the offset of its EndpointStarted")
