"""Every service of a deployment in one process and under one address, over a log and a store."""

from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack

from fastapi import FastAPI
from prometheus_client import CollectorRegistry

from funcledger_command_api import api as commands
from funcledger_compose.lag import LagMetric
from funcledger_compose.settings import Settings
from funcledger_event_log.follower import Tail
from funcledger_event_log.port import EventLog
from funcledger_gateway.door import Door
from funcledger_gateway.fencing import EpochTail
from funcledger_gateway.keeper import Keeper
from funcledger_gateway.routes import routers as gateway_routers
from funcledger_projectors.runner import Projector
from funcledger_query_api.api import QuerySide
from funcledger_read_models.port import ReadModelStore
from funcledger_schemas.envelope import BY_ENDPOINT, TOPICS
from funcledger_web import catalogue as catalogues
from funcledger_web.app import application
from funcledger_web.auth import AnyOf, Principal
from funcledger_web.credentials import EndpointCredentials
from funcledger_web.metrics import RequestMetrics
from funcledger_web.tokens import TokenTable, digest

#: Seconds the catalogue may take to catch up before an unknown credential is turned away.
_CATCH_UP = 2.0


class Services:
    """Command side, query side, gateway with its keeper, and projector; ``app`` answers for all of them."""

    def __init__(self, log: EventLog, catalogue_tail: Tail, query: QuerySide, door: Door) -> None:
        self._log = log
        self._catalogue_tail = catalogue_tail
        self._query = query
        self._door = door
        self._stack = AsyncExitStack()
        self._projector: Projector
        self.app: FastAPI

    @classmethod
    async def over(
        cls, log: EventLog, store: ReadModelStore, settings: Settings, *, users: Mapping[str, str]
    ) -> "Services":
        """All services, started; ``users`` are tokens and whom each speaks for."""
        await _create_topics(log, settings.partitions)
        catalogue = catalogues.Catalogue()
        tail = Tail(log, catalogues.TOPICS, catalogue.apply, name="catalogue")
        epochs = await EpochTail.over(log, store)
        query = QuerySide(log, store)
        services = cls(log, tail, query, Door(log, epochs, catalogue, tail))
        metrics = RequestMetrics(CollectorRegistry())
        projector = Projector(log, store)
        lag = LagMetric(projector, metrics.registry)
        await services._start(epochs, projector, Keeper(log, store), lag)
        services.app = application(
            "funcledger",
            [*commands.routers(log, catalogue, tail), *query.routers(), *gateway_routers(services._door)],
            authenticator=AnyOf(
                TokenTable({digest(token): Principal("user", name) for token, name in users.items()}),
                EndpointCredentials(catalogue, lambda: tail.catch_up(_CATCH_UP)),
            ),
            allowed_hosts=_hosts(settings),
            ready=services.missing,
            metrics=metrics,
            about=commands.ABOUT,
        )
        return services

    async def _start(self, epochs: EpochTail, projector: Projector, keeper: Keeper, lag: LagMetric) -> None:
        self._projector = projector
        for part in (self._catalogue_tail, epochs, projector, self._query, keeper, lag):
            await part.start()
            self._stack.push_async_callback(part.stop)

    async def missing(self) -> Sequence[str]:
        """The parts that are not ready, for ``/readyz``."""
        found = list(await self._query.missing())
        parts = {
            "catalogue": self._catalogue_tail.failed is not None,
            "gateway": self._door.failed,
            "projector": self._projector.failed is not None,
            "log": not await self._log.ready(),
        }
        return found + [name for name, failed in parts.items() if failed]

    def close_streams(self) -> None:
        """End every stream and wait: the server is about to stop."""
        self._query.close_streams()
        self._door.close_feeds()

    async def stop(self) -> None:
        """Stop every part, in the reverse order of starting."""
        await self._stack.aclose()


async def _create_topics(log: EventLog, partitions: int) -> None:
    for topic in TOPICS:
        present = await log.partitions(topic)
        await log.create_topic(topic, max(present, partitions if topic in BY_ENDPOINT else 1))


def _hosts(settings: Settings) -> list[str]:
    """The names it may be addressed by: loopback, the address it listens on, and those that were named."""
    return ["127.0.0.1", "localhost", "[::1]", settings.host, *settings.allowed_hosts]
