"""What an agent may say: events of its own endpoint, about what agents see happen."""

from functools import cache

from funcledger_event_log.endpoint_port import CredentialRefused
from funcledger_schemas.envelope import topic_of
from funcledger_schemas.events import Event

_TOPICS = frozenset({"results", "heartbeats"})


@cache
def _is_for_agents(kind: type[Event]) -> bool:
    return topic_of(kind) in _TOPICS


class Ownership:
    """Refuses what the agent of one endpoint may not say; an event without an epoch is the keeper's."""

    def __init__(self, endpoint_id: str) -> None:
        self._endpoint_id = endpoint_id
        self._actor = f"endpoint:{endpoint_id}"

    def check(self, event: Event) -> None:
        """Let it pass.

        Raises:
            CredentialRefused: another endpoint's, another topic's, another actor's, or one without an epoch.
        """
        kind = type(event)
        if not _is_for_agents(kind):
            raise CredentialRefused(
                f"{kind.__name__} is not for endpoints to say; theirs go to results and heartbeats"
            )
        if getattr(event, "endpoint_id", None) != self._endpoint_id or event.actor != self._actor:
            raise CredentialRefused(
                f"this credential speaks for endpoint {self._endpoint_id}; the {kind.__name__} names another "
                "endpoint or actor"
            )
        if getattr(event, "epoch", 0) is None:
            raise CredentialRefused(
                f"an agent's {kind.__name__} carries its epoch: the offset of its EndpointStarted"
            )
