"""What happens to functions: registered, shared, deleted."""

from funcledger_schemas.events.base import Event


class FunctionRegistered(Event, frozen=True, gc=False):
    """A function was registered."""

    function_id: str
    owner: str
    name: str
    description: str | None
    metadata: str | None
    public: bool
    group: str | None
    python_version: str
    dill_version: str
    payload_format: str
    payload_sha256: str
    payload_size: int
    payload: bytes
    by_token: str | None = None
    payload_code: str | None = None
    payload_object: str | None = None


class FunctionShared(Event, frozen=True, gc=False):
    """A function was shared with a user or a group."""

    function_id: str
    owner: str
    grantee_kind: str
    grantee: str
    by_token: str | None = None


class FunctionUnshared(Event, frozen=True, gc=False):
    """A function is no longer shared with a user or a group."""

    function_id: str
    owner: str
    grantee_kind: str
    grantee: str
    by_token: str | None = None


class FunctionDeleted(Event, frozen=True, gc=False):
    """A function was deleted: it can no longer be found or run; tasks submitted before keep running."""

    function_id: str
    owner: str
    by_token: str | None = None
