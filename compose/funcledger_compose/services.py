"""The services of one process under one address: all of them, or some, over a log and a store."""

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AsyncExitStack

from fastapi import FastAPI
from prometheus_client import CollectorRegistry

from funcledger_command_api.api import ABOUT
from funcledger_command_api.backlog import Backlog
from funcledger_compose.measured import MeasuredLog, MeasuredStore
from funcledger_compose.roles import ROLES, CommandApi, Gateway, Known, Projecting, Projectors, QueryApi, Role
from funcledger_compose.settings import Settings
from funcledger_event_log.port import EventLog
from funcledger_event_log.submissions import SubmissionMemory
from funcledger_gateway.fencing import EpochTail
from funcledger_projectors.runner import Projector
from funcledger_query_api.progress import unheard
from funcledger_read_models.port import ReadModelStore
from funcledger_schemas.envelope import BY_ENDPOINT, TOPICS
from funcledger_web.app import application
from funcledger_web.auth import AnyOf, Authenticator, Principal
from funcledger_web.credentials import EndpointCredentials
from funcledger_web.limits import HeldBodies
from funcledger_web.metrics import RequestMetrics
from funcledger_web.rates import Rates, Waits
from funcledger_web.tokens import TokenTable

#: Seconds the catalogue may take to catch up before an unknown credential is turned away.
_CATCH_UP = 2.0


#: Makes a projector of the log and the store, both measured.
MakeProjector = Callable[[MeasuredLog, MeasuredStore], Projecting]


class Services:
    """Some roles, started; ``app`` answers for all of them."""

    def __init__(self, log: EventLog, roles: Sequence[Role]) -> None:
        self._log = log
        self._roles = roles
        self._stack = AsyncExitStack()
        self.app: FastAPI

    @classmethod
    async def over(
        cls,
        log: EventLog,
        store: ReadModelStore | None,
        settings: Settings,
        *,
        users: Mapping[str, Principal],
        roles: Collection[str] = ROLES,
        projector: MakeProjector = Projector,
    ) -> "Services":
        """The services of these roles, started.

        Args:
            store: only for roles that read or write it.
            users: per SHA-256 of a token, whom it speaks for.
            projector: what makes the projector, of the log and the store; by default one in this process
                that takes all partitions.

        Raises:
            LogUnavailable, StoreUnavailable: try again later.
        """
        if settings.log == "sqlite":  # a cluster's topics are its operator's to make and grow
            await _create_topics(log, settings.partitions)
        metrics = RequestMetrics(CollectorRegistry())
        log = MeasuredLog(log, metrics.registry)
        saved = MeasuredStore(store, metrics.registry) if store else None
        known = Known(log) if {"command-api", "gateway"} & set(roles) else None
        waits, submitted = Waits(settings.open_waits), SubmissionMemory()
        made: list[Role] = [known] if known else []
        if known and "command-api" in roles:
            backlog = Backlog(log, tasks=settings.backlog_tasks, size=settings.backlog_bytes)
            made.append(CommandApi(log, known, backlog, list(users.values())))
        if known and saved and "gateway" in roles:
            epochs = await EpochTail.over(log, saved)
            # The query side follows all of `tasks`, so beside it the gateway need not remember for itself.
            followed = submitted if "query-api" in roles else None
            made.append(Gateway(log, saved, known, epochs, waits, followed))
        hurry: Callable[[bool], None] = unheard
        if saved and "projectors" in roles:
            projects = projector(log, saved)
            hurry = projects.hurry
            made.append(Projectors(log, saved, projects, metrics.registry))
        if saved and "query-api" in roles:
            made.append(QueryApi(log, saved, waits, _topic_prefix(settings), hurry, submitted))
        services = cls(log, made)
        await services._start()
        services.app = application(
            "funcledger",
            [router for role in made for router in role.routers()],
            authenticator=_authenticator(users, known),
            allowed_hosts=_hosts(settings),
            ready=services.missing,
            metrics=metrics,
            about=ABOUT,
            rates=Rates(settings.request_rate, settings.request_burst),
            bodies=HeldBodies(settings.bodies_per_user, settings.bodies),
        )
        return services

    async def _start(self) -> None:
        try:
            for role in self._roles:
                self._stack.push_async_callback(role.stop)
                await role.start()
        except BaseException:
            await self._stack.aclose()
            raise

    async def begun(self) -> None:
        """Return once every part has begun, also those that are processes of their own; or failed."""
        for role in self._roles:
            await role.begun()

    async def missing(self) -> dict[str, str]:
        """The parts that are not ready, each with what there is to say of it, for ``/readyz``."""
        found = {name: "" for role in self._roles for name in await role.missing()}
        trouble = await self._log.trouble()
        return found if trouble is None else {**found, "log": trouble}

    def close_streams(self) -> None:
        """End every stream and wait: the server is about to stop."""
        for role in self._roles:
            role.close_streams()

    async def stop(self) -> None:
        """Stop every part, in the reverse order of starting."""
        await self._stack.aclose()


def _authenticator(users: Mapping[str, Principal], known: Known | None) -> Authenticator:
    table = TokenTable(users)
    if known is None:
        return table
    return AnyOf(table, EndpointCredentials(known.catalogue, lambda: known.tail.catch_up(_CATCH_UP)))


async def _create_topics(log: EventLog, partitions: int) -> None:
    # An endpoint's partition has one number in all of its topics, also in one that an older log lacks.
    partitions = max(partitions, await log.partitions("tasks"))
    for topic in TOPICS:
        present = await log.partitions(topic)
        await log.create_topic(topic, max(present, partitions if topic in BY_ENDPOINT else 1))


def _topic_prefix(settings: Settings) -> str | None:
    """What the topics' names begin with where the log is; None with a schema registry that is not ours."""
    if settings.schema_registry_url:
        return None
    return settings.kafka_topic_prefix if settings.log == "kafka" else ""


def _hosts(settings: Settings) -> list[str]:
    """The names it may be addressed by: loopback, the address it listens on, and those that were named."""
    return ["127.0.0.1", "localhost", "[::1]", settings.host, *settings.allowed_hosts]
