"""Routes that find endpoints and tell how they are."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import Annotated, Any, cast

import msgspec
from fastapi import APIRouter, Path, Query
from starlette.responses import Response

from funcledger_query_api.access import Candidates, Page, open_to, page_of, those_visible
from funcledger_query_api.answers import described
from funcledger_query_api.lookup import is_submitted
from funcledger_query_api.parameters import EndpointFilters, id_after
from funcledger_query_api.queries import Queries, SeenHeader
from funcledger_query_api.stored import parsed
from funcledger_read_models.documents import ENDPOINT_HEALTH, TASK_STATUS, EndpointHealth, TaskStatus
from funcledger_read_models.liveness import is_online, last_seen
from funcledger_read_models.port import ReadModelStore
from funcledger_schemas.ids import is_id
from funcledger_schemas.lifecycle import Status
from funcledger_web.auth import Principal, allow
from funcledger_web.documentation import problems
from funcledger_web.problems import Problem

#: Endpoints of one name that are looked at.
_NAMESAKES = 1000
#: Most tasks that are counted as waiting, and the statuses of those that do.
_COUNTED = 10_000
_UNFINISHED = tuple(status.value for status in Status if not status.finished)
Reader = Annotated[Principal, allow("endpoints:read")]


class EndpointView(msgspec.Struct, kw_only=True, gc=False):
    """An endpoint. Times in ms since 1970, memory in bytes; numbers are the agent's last heartbeat's.

    ``outstanding`` is what the agent has in hand, begun or not; numbers of work are null while it is offline.
    Then ``waiting`` is how many of your own tasks wait for it, counted up to 10,000.
    """

    endpoint_id: str
    name: str | None
    owner: str | None
    description: str | None
    metadata: dict[str, Any] | None
    public: bool
    partition: int | None
    status: str
    last_seen: int | None
    host: str | None
    platform: str | None
    python_version: str | None
    agent_version: str | None
    engine: str | None
    workers: int | None
    busy: int | None
    idle: int | None
    queued: int | None
    outstanding: int | None
    waiting: int | None
    cores: int | None
    memory_total: int | None
    memory_available: int | None
    load: float | None
    registered_at: int | None
    started_at: int | None


class EndpointList(msgspec.Struct, gc=False):
    """Endpoints, newest first; the next page begins at ``cursor``. A page may be short and not the last."""

    endpoints: list[EndpointView]
    cursor: str | None
    position: str


def router(queries: Queries) -> APIRouter:
    """The routes of ``/v1/endpoints`` that read."""
    routes = APIRouter(
        prefix="/v1/endpoints", tags=["endpoints"], route_class=queries.route_class,
        responses=problems("endpoint-not-found", "behind", "read-models-unavailable"),
    )  # fmt: skip

    @routes.get("", summary="List endpoints", responses=described(EndpointList, "Endpoints."))
    async def list_endpoints(
        who: Reader, filters: Annotated[EndpointFilters, Query()], seen: SeenHeader = None
    ) -> Response:
        token = await queries.catch_up(seen)
        page = await _page(queries.store, who, filters)
        position, at = await queries.position(token), queries.log_time()
        waiting = await _waiting(queries.store, who, [each for each in page.found if not is_online(each, at)])
        body = EndpointList([_view(each, at, waiting) for each in page.found], page.cursor, str(position))
        return queries.answer(body, position)

    # A path, so that a name with a slash in it is looked for, and not taken for another address.
    @routes.get("/{endpoint:path}", summary="An endpoint", responses=described(EndpointView, "The endpoint."))
    async def one(
        endpoint: Annotated[str, Path(max_length=200, description="Its id, or its name.")],
        who: Reader,
        seen: SeenHeader = None,
    ) -> Response:
        """By name: one's own, or else the one other endpoint of that name one may use."""
        token = await queries.catch_up(seen)
        health = await (_by_id if is_id(endpoint) else _by_name)(queries.store, endpoint, who)
        if health is None:
            detail = f"There is no endpoint {endpoint} that you may use."
            raise Problem("endpoint-not-found", detail, endpoint=endpoint)
        at = queries.log_time()
        waiting = await _waiting(queries.store, who, [] if is_online(health, at) else [health])
        return queries.answer(_view(health, at, waiting), await queries.position(token))

    return routes


async def _page(store: ReadModelStore, who: Principal, filters: EndpointFilters) -> Page[EndpointHealth]:
    own, name = filters.role == "owner", filters.name

    async def look_up(ids: list[str]) -> list[EndpointHealth]:
        found = await _visible(store, ids, who)
        return [each for each in found if name in (None, each.name) and not (own and each.owner != who.id)]

    return await page_of(
        open_to(store, "endpoint", who, own=own) if name is None else _named(store, name),
        look_up,
        lambda health: health.endpoint_id,
        after=id_after(filters.cursor),
        limit=filters.limit,
    )


def _named(store: ReadModelStore, name: str) -> Candidates:
    async def some(after: str | None, limit: int) -> list[str]:
        key = None if after is None else (after,)
        found = await store.find(
            ENDPOINT_HEALTH, where={"name": name}, after=key, limit=limit, descending=True
        )
        return [cast("EndpointHealth", each).endpoint_id for each in found]

    return some


async def _visible(store: ReadModelStore, ids: Sequence[str], who: Principal) -> list[EndpointHealth]:
    """Those of these endpoints that the user may see, in the same order."""
    keys = [(each,) for each in await those_visible(store, "endpoint", ids, who)]
    known = (await store.load({ENDPOINT_HEALTH: keys}))[ENDPOINT_HEALTH]
    return [cast("EndpointHealth", known[key]) for key in keys if key in known]


async def _by_id(store: ReadModelStore, endpoint_id: str, who: Principal) -> EndpointHealth | None:
    return next(iter(await _visible(store, [endpoint_id], who)), None)


async def _by_name(store: ReadModelStore, name: str, who: Principal) -> EndpointHealth | None:
    candidates = await _newest(store, who, name, {"owner": who.id}) or await _newest(store, who, name, {})
    if len(candidates) > 1:
        ids = [each.endpoint_id for each in candidates]
        raise Problem("conflict", f"Several endpoints are named {name}: use an id.", endpoint_ids=ids)
    return candidates[0] if candidates else None


async def _newest(
    store: ReadModelStore, who: Principal, name: str, where: dict[str, str]
) -> list[EndpointHealth]:
    """What the user may see among the newest of this name: others may have deleted any number of them."""
    found = await store.find(
        ENDPOINT_HEALTH, where={"name": name, **where}, limit=_NAMESAKES, descending=True
    )
    return await _visible(store, [cast("EndpointHealth", each).endpoint_id for each in found], who)


async def _waiting(
    store: ReadModelStore, who: Principal, offline: Sequence[EndpointHealth]
) -> Mapping[str, int]:
    """How many tasks of this user wait for each of these endpoints."""
    if not offline:
        return {}
    where: dict[str, str | bool | Collection[str]] = {"status": _UNFINISHED}
    if len(offline) == 1:
        where["endpoint_id"] = offline[0].endpoint_id
    found = await store.find(TASK_STATUS, (who.id,), where, limit=_COUNTED)
    tasks = [task for task in found if isinstance(task, TaskStatus) and is_submitted(task)]
    return Counter(task.endpoint_id for task in tasks)


def _view(health: EndpointHealth, at: int, waiting: Mapping[str, int]) -> EndpointView:
    online = is_online(health, at)
    workers, busy, queued = (health.workers, health.busy, health.queued) if online else (None, None, None)
    if online and workers is None:
        workers = health.started_workers
    return EndpointView(
        endpoint_id=health.endpoint_id,
        name=health.name,
        owner=health.owner,
        description=health.description,
        metadata=parsed(health.metadata),
        public=health.public,
        partition=health.partition,
        status="online" if online else "offline",
        last_seen=last_seen(health),
        host=health.host,
        platform=health.platform,
        python_version=health.python_version,
        agent_version=health.agent_version,
        engine=health.engine,
        workers=workers,
        busy=busy,
        idle=None if workers is None else workers - (busy or 0),
        queued=queued,
        outstanding=None if busy is None and queued is None else (busy or 0) + (queued or 0),
        waiting=None if online else waiting.get(health.endpoint_id, 0),
        cores=health.cores,
        memory_total=health.memory_total,
        memory_available=health.memory_available,
        load=health.load,
        registered_at=health.registered_at,
        started_at=health.started_at,
    )
