"""The services a deployment is made of, each with the parts it runs and the routes it answers."""

from collections.abc import Callable, Collection, Sequence
from contextlib import AsyncExitStack
from typing import Protocol

from fastapi import APIRouter
from prometheus_client import CollectorRegistry

from funcledger_command_api import api as commands
from funcledger_command_api.backlog import Backlog
from funcledger_compose.lag import LagMetric
from funcledger_event_log.follower import Tail
from funcledger_event_log.port import EventLog
from funcledger_event_log.submissions import SubmissionMemory
from funcledger_gateway.door import Door
from funcledger_gateway.fencing import EpochTail
from funcledger_gateway.keeper import Keeper
from funcledger_gateway.routes import routers as gateway_routers
from funcledger_query_api import schema_registry
from funcledger_query_api.api import QuerySide
from funcledger_read_models.port import ReadModelStore, StoreError
from funcledger_web import catalogue as catalogues
from funcledger_web.auth import Principal
from funcledger_web.catalogue import Catalogue
from funcledger_web.rates import Waits

#: What ``funcledger serve`` can be told to be; ``funcledger up`` is all of it.
ROLES = ("command-api", "query-api", "gateway", "projectors")
#: Those that stand on the log alone.
WITHOUT_STORE = frozenset({"command-api"})


class Part(Protocol):
    """Something that runs."""

    async def start(self) -> None:
        """Begin."""
        ...

    async def stop(self) -> None:
        """End."""
        ...


class Role:
    """One service: its parts are started in order, and stopped in the reverse order."""

    def __init__(self, *parts: Part) -> None:
        self._parts = parts
        self._stack = AsyncExitStack()

    async def start(self) -> None:
        """Start every part."""
        for part in self._parts:
            await part.start()
            self._stack.push_async_callback(part.stop)

    async def stop(self) -> None:
        """Stop what was started."""
        await self._stack.aclose()

    def routers(self) -> list[APIRouter]:
        """What it answers."""
        return []

    async def begun(self) -> None:
        """Return once every part that is not in this process has begun, or failed."""

    async def missing(self) -> Sequence[str]:
        """Its parts that are not ready."""
        return []

    def close_streams(self) -> None:
        """End what would never end by itself."""


class Known(Role):
    """Functions and endpoints in memory: what commands are decided from, and credentials known by."""

    def __init__(self, log: EventLog) -> None:
        self.catalogue = Catalogue()
        self.tail = Tail(log, catalogues.TOPICS, self.catalogue.apply, name="catalogue")
        super().__init__(self.tail)

    async def missing(self) -> Sequence[str]:
        """As the role says."""
        return ["catalogue"] if self.tail.failed is not None else []


class CommandApi(Role):
    """Register, submit, cancel."""

    def __init__(self, log: EventLog, known: Known, backlog: Backlog, users: Collection[Principal]) -> None:
        super().__init__(backlog)
        self._routers = commands.routers(log, known.catalogue, known.tail, backlog, users)

    def routers(self) -> list[APIRouter]:
        """As the role says."""
        return self._routers


class QueryApi(Role):
    """Status, results, streams; and the schemas, unless another registry has them (``topic_prefix`` None)."""

    def __init__(
        self,
        log: EventLog,
        store: ReadModelStore,
        waits: Waits,
        topic_prefix: str | None,
        hurry: Callable[[bool], None],
        submitted: SubmissionMemory,
    ) -> None:
        self._schemas = [] if topic_prefix is None else [schema_registry.router(topic_prefix)]
        self._side = QuerySide(log, store, waits=waits, hurry=hurry, submitted=submitted)
        self._store = store
        super().__init__(self._side)

    def routers(self) -> list[APIRouter]:
        """As the role says."""
        return self._side.routers() + self._schemas

    async def missing(self) -> Sequence[str]:
        """As the role says."""
        return await self._side.missing() + await _missing_store(self._store)

    def close_streams(self) -> None:
        """As the role says."""
        self._side.close_streams()


class Gateway(Role):
    """The endpoints' door, and the keeper."""

    def __init__(
        self,
        log: EventLog,
        store: ReadModelStore,
        known: Known,
        epochs: EpochTail,
        waits: Waits,
        submitted: SubmissionMemory | None,
    ) -> None:
        self._door = Door(log, epochs, known.catalogue, known.tail, waits=waits, submitted=submitted)
        super().__init__(epochs, Keeper(log, store))

    def routers(self) -> list[APIRouter]:
        """As the role says."""
        return gateway_routers(self._door)

    async def missing(self) -> Sequence[str]:
        """As the role says."""
        return ["gateway"] if self._door.failed else []

    def close_streams(self) -> None:
        """As the role says."""
        self._door.close_feeds()


class Projecting(Part, Protocol):
    """A projector, in this process or in one of its own."""

    @property
    def failed(self) -> Exception | None:
        """Why it has stopped for good, None while all is well."""
        ...

    async def begun(self) -> None:
        """Return once it has begun to follow, or failed."""
        ...

    def hurry(self, wanted: bool) -> None:
        """Whether somebody waits for what is applied."""
        ...

    async def lag(self) -> int:
        """How many records of its partitions have not been applied yet."""
        ...


class Projectors(Role):
    """Keeps the read models up to date, for its share of the partitions."""

    def __init__(
        self, log: EventLog, store: ReadModelStore, projector: Projecting, registry: CollectorRegistry
    ) -> None:
        self._projector = projector
        self._store = store
        super().__init__(self._projector, LagMetric(log, self._projector, registry))

    async def begun(self) -> None:
        """As the role says."""
        await self._projector.begun()

    async def missing(self) -> Sequence[str]:
        """As the role says."""
        stopped = ["projector"] if self._projector.failed is not None else []
        return stopped + await _missing_store(self._store)


async def _missing_store(store: ReadModelStore) -> list[str]:
    try:
        await store.positions()
    except StoreError:
        return ["read models"]
    return []
