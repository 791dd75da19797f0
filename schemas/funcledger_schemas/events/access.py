"""What happens to people, their groups and tokens, and what they share and hand over."""

from funcledger_schemas.events.base import Event


class PersonDescribed(Event, frozen=True, gc=False):
    """What a provider of identities, or the person, says of a person.

    The only event that holds anything personal, and all of it is payload.
    """

    person_id: str
    payload_format: str
    payload_sha256: str
    payload_size: int
    payload: bytes


class PersonLinked(Event, frozen=True, gc=False):
    """Two logins were proved to be one person's.

    What one owned stays named by the old id.
    """

    person_id: str
    linked: str


class PersonLoggedIn(Event, frozen=True, gc=False):
    """A person logged in."""

    person_id: str
    session_id: str
    issuer: str
    method: str
    expires_at: int | None = None


class PersonLoggedOut(Event, frozen=True, gc=False):
    """A session ended."""

    person_id: str
    session_id: str
    reason: str


class GroupCreated(Event, frozen=True, gc=False):
    """A group was made."""

    group_id: str
    owner: str
    name: str
    by_token: str | None = None


class GroupDeleted(Event, frozen=True, gc=False):
    """A group is gone, and with it whatever was shared with it."""

    group_id: str
    owner: str
    by_token: str | None = None


class GroupMemberAdded(Event, frozen=True, gc=False):
    """A user is in a group from now on."""

    group_id: str
    owner: str
    member: str
    by_token: str | None = None


class GroupMemberRemoved(Event, frozen=True, gc=False):
    """A user is no longer in a group."""

    group_id: str
    owner: str
    member: str
    by_token: str | None = None


class OwnershipTransferred(Event, frozen=True, gc=False):
    """Something has another owner.

    Tasks keep the owner who submitted them.
    """

    resource_kind: str
    resource_id: str
    former_owner: str
    new_owner: str
    by_token: str | None = None


class ResultsShared(Event, frozen=True, gc=False):
    """A user lets others read what became of his tasks."""

    owner: str
    batch_id: str
    grantee_kind: str
    grantee: str
    of_task: str | None = None
    by_token: str | None = None


class ResultsUnshared(Event, frozen=True, gc=False):
    """A user no longer lets others read what became of his tasks."""

    owner: str
    batch_id: str
    grantee_kind: str
    grantee: str
    of_task: str | None = None
    by_token: str | None = None


class TokenCreated(Event, frozen=True, gc=False):
    """A user made an API token."""

    token_id: str
    owner: str
    name: str
    token_sha256: str
    scopes: tuple[str, ...]
    expires_at: int | None = None
    by_token: str | None = None


class TokenRevoked(Event, frozen=True, gc=False):
    """An API token opens nothing any more."""

    token_id: str
    owner: str
    reason: str
    by_token: str | None = None
