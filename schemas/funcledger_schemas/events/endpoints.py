"""What happens to endpoints: registered, shared, deleted, and their heartbeats."""

from funcledger_schemas.events.base import Event


class EndpointRegistered(Event, frozen=True, gc=False):
    """An endpoint was registered."""

    endpoint_id: str
    owner: str
    name: str
    description: str | None
    metadata: str | None
    public: bool
    partition: int
    credential_sha256: str


class EndpointShared(Event, frozen=True, gc=False):
    """An endpoint was shared with a user or a group."""

    endpoint_id: str
    owner: str
    grantee_kind: str
    grantee: str


class EndpointUnshared(Event, frozen=True, gc=False):
    """An endpoint is no longer shared with a user or a group."""

    endpoint_id: str
    owner: str
    grantee_kind: str
    grantee: str


class EndpointDeleted(Event, frozen=True, gc=False):
    """An endpoint was deleted: its credential no longer opens the gateway and nothing can be sent to it."""

    endpoint_id: str
    owner: str


class EndpointHeartbeat(Event, frozen=True, gc=False):
    """An agent is alive, and how busy it is."""

    endpoint_id: str
    instance_id: str
    epoch: int | None
    workers: int
    busy: int
    queued: int
    cores: int
    memory_total: int
    memory_available: int
    load: float
