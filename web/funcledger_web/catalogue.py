"""What may be used, by whom: functions and endpoints folded from the log into memory, without bodies."""

import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from funcledger_schemas import events
from funcledger_schemas.codec import DecodeError
from funcledger_schemas.events import Event
from funcledger_web.auth import Principal

_log = logging.getLogger(__name__)

#: The topics the catalogue is a fold of; feed it every record of them, in order.
TOPICS = ("functions", "endpoints")


class Where(NamedTuple):
    """Where a record stands on the log."""

    topic: str
    partition: int
    offset: int


class RecordLike(Protocol):
    """What the catalogue needs of a record."""

    topic: str
    partition: int
    offset: int

    def event(self) -> Event:
        """The event; raises DecodeError."""
        ...


@dataclass(slots=True, kw_only=True)
class Resource:
    """Something with an owner, that may be shared and deleted; ``where`` is the record that registered it."""

    where: Where
    owner: str
    name: str
    public: bool
    users: set[str] = field(default_factory=set)
    groups: set[str] = field(default_factory=set)
    #: Those it was shared with once and is no more: what they sent meanwhile may still be there.
    former_users: set[str] = field(default_factory=set)
    former_groups: set[str] = field(default_factory=set)
    deleted: bool = False

    def open_to(self, who: Principal) -> bool:
        """Whether this user may see and use it."""
        if self.deleted or who.kind != "user":
            return False
        return self.public or who.id == self.owner or who.id in self.users or bool(self.groups & who.groups)

    def was_open_to(self, who: Principal) -> bool:
        """Whether this user may use it or could once, before it was deleted or no longer shared.

        A group counts for its present members: nobody remembers who has left it.
        """
        if who.kind != "user":
            return False
        if self.public or who.id == self.owner or who.id in self.users | self.former_users:
            return True
        return bool((self.groups | self.former_groups) & who.groups)

    def share(self, kind: str, grantee: str) -> None:
        """Open it to a user or a group."""
        (self.groups if kind == "group" else self.users).add(grantee)

    def unshare(self, kind: str, grantee: str) -> None:
        """No longer open it to a user or a group."""
        now, former = (
            (self.groups, self.former_groups) if kind == "group" else (self.users, self.former_users)
        )
        if grantee in now:
            now.discard(grantee)
            former.add(grantee)


@dataclass(slots=True, kw_only=True)
class Function(Resource):
    """A registered function; its body stands in the record at ``where``."""

    function_id: str
    content_hash: str
    payload_size: int


@dataclass(slots=True, kw_only=True)
class Endpoint(Resource):
    """A registered endpoint, and the partition its tasks and results are in."""

    endpoint_id: str
    partition: int
    credential_sha256: str


class Catalogue:
    """Functions, endpoints and shares as the log has them; look-ups cost a dictionary access.

    Delivering a record again changes nothing (law 3). The first registration of an id stands.
    What is deleted stays known, so that its id is not given twice and its body is still found.
    """

    def __init__(self) -> None:
        self.functions: dict[str, Function] = {}
        self.endpoints: dict[str, Endpoint] = {}
        self._bodies: dict[str, Where] = {}
        self._credentials: dict[str, str] = {}
        self._names: dict[tuple[str, str], str] = {}
        self._next: dict[tuple[str, int], int] = {}

    def apply(self, records: Sequence[RecordLike]) -> None:
        """Take in records in the order of the log; one that cannot be read is passed over (law 11)."""
        for record in records:
            if record.offset < self._next.get((record.topic, record.partition), 0):
                continue
            self._next[record.topic, record.partition] = record.offset + 1
            where = Where(record.topic, record.partition, record.offset)
            try:
                self._take(where, record.event())
            except DecodeError as error:
                _log.warning("the catalogue cannot read %s: %s", where, error)

    def function_open_to(self, who: Principal, function_id: str) -> Function | None:
        """The function, if it is there and this user may use it."""
        found = self.functions.get(function_id)
        return found if found is not None and found.open_to(who) else None

    def endpoint_open_to(self, who: Principal, endpoint_id: str) -> Endpoint | None:
        """The endpoint, if it is there and this user may use it."""
        found = self.endpoints.get(endpoint_id)
        return found if found is not None and found.open_to(who) else None

    def endpoint_of_credential(self, credential_sha256: str) -> Endpoint | None:
        """The live endpoint whose credential has this SHA-256."""
        endpoint_id = self._credentials.get(credential_sha256)
        return self.endpoints[endpoint_id] if endpoint_id else None

    def endpoint_named(self, owner: str, name: str) -> Endpoint | None:
        """The owner's live endpoint of this name."""
        endpoint_id = self._names.get((owner, name))
        return self.endpoints[endpoint_id] if endpoint_id else None

    def body(self, content_hash: str) -> Where | None:
        """Where a FunctionRegistered stands whose payload has this SHA-256, deleted or not."""
        return self._bodies.get(content_hash)

    def load(self) -> Counter[int]:
        """How many live endpoints each partition has."""
        return Counter(each.partition for each in self.endpoints.values() if not each.deleted)

    def _take(self, where: Where, event: Event) -> None:
        if isinstance(event, events.FunctionRegistered):
            self._function_registered(where, event)
        elif isinstance(event, events.EndpointRegistered):
            self._endpoint_registered(where, event)
        elif isinstance(event, events.FunctionDeleted):
            if (function := self.functions.get(event.function_id)) is not None:
                function.deleted = True
        elif isinstance(event, events.EndpointDeleted):
            self._endpoint_deleted(event)
        else:
            self._shared(event)

    def _function_registered(self, where: Where, event: events.FunctionRegistered) -> None:
        self._bodies.setdefault(event.payload_sha256, where)
        self.functions.setdefault(
            event.function_id,
            Function(
                function_id=event.function_id,
                owner=event.owner,
                name=event.name,
                public=event.public,
                groups={event.group} if event.group else set(),
                content_hash=event.payload_sha256,
                payload_size=event.payload_size,
                where=where,
            ),
        )

    def _endpoint_registered(self, where: Where, event: events.EndpointRegistered) -> None:
        if event.endpoint_id in self.endpoints:
            return
        self.endpoints[event.endpoint_id] = Endpoint(
            where=where,
            endpoint_id=event.endpoint_id,
            owner=event.owner,
            name=event.name,
            public=event.public,
            partition=event.partition,
            credential_sha256=event.credential_sha256,
        )
        self._credentials.setdefault(event.credential_sha256, event.endpoint_id)
        self._names.setdefault((event.owner, event.name), event.endpoint_id)

    def _endpoint_deleted(self, event: events.EndpointDeleted) -> None:
        endpoint = self.endpoints.get(event.endpoint_id)
        if endpoint is None:
            return
        endpoint.deleted = True
        if self._credentials.get(endpoint.credential_sha256) == endpoint.endpoint_id:
            del self._credentials[endpoint.credential_sha256]
        if self._names.get((endpoint.owner, endpoint.name)) == endpoint.endpoint_id:
            del self._names[endpoint.owner, endpoint.name]

    def _shared(self, event: Event) -> None:
        resource: Resource | None
        if isinstance(event, events.FunctionShared | events.FunctionUnshared):
            resource = self.functions.get(event.function_id)
        elif isinstance(event, events.EndpointShared | events.EndpointUnshared):
            resource = self.endpoints.get(event.endpoint_id)
        else:
            return
        if resource is None:
            return
        if isinstance(event, events.FunctionShared | events.EndpointShared):
            resource.share(event.grantee_kind, event.grantee)
        else:
            resource.unshare(event.grantee_kind, event.grantee)
