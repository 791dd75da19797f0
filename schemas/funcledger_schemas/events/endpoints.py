"""What happens to endpoints: registered, shared, changed, deleted; their credentials and heartbeats."""

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
    by_token: str | None = None
    labels: tuple[str, ...] | None = None
    allowed_functions: tuple[str, ...] | None = None
    contact: str | None = None


class EndpointShared(Event, frozen=True, gc=False):
    """An endpoint was shared with a user or a group."""

    endpoint_id: str
    owner: str
    grantee_kind: str
    grantee: str
    role: str | None = None
    by_token: str | None = None


class EndpointUnshared(Event, frozen=True, gc=False):
    """An endpoint is no longer shared with a user or a group."""

    endpoint_id: str
    owner: str
    grantee_kind: str
    grantee: str
    by_token: str | None = None


class EndpointDeleted(Event, frozen=True, gc=False):
    """An endpoint was deleted: its credential no longer opens the gateway and nothing can be sent to it."""

    endpoint_id: str
    owner: str
    by_token: str | None = None


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


class EndpointCredentialIssued(Event, frozen=True, gc=False):
    """An endpoint's agent got a credential."""

    endpoint_id: str
    owner: str
    credential_id: str
    kind: str
    secret_sha256: str
    replaces: str | None = None
    expires_at: int | None = None
    by_token: str | None = None


class EndpointCredentialRevoked(Event, frozen=True, gc=False):
    """An endpoint's credential opens nothing any more.

    A key of kind 'hmac-sha256' still proves what it signed before.
    """

    endpoint_id: str
    owner: str
    credential_id: str
    reason: str
    by_token: str | None = None


class EndpointChanged(Event, frozen=True, gc=False):
    """An endpoint's settings were changed; what is null stays as it was."""

    endpoint_id: str
    owner: str
    description: str | None = None
    metadata: str | None = None
    public: bool | None = None
    labels: tuple[str, ...] | None = None
    allowed_functions: tuple[str, ...] | None = None
    contact: str | None = None
    by_token: str | None = None
