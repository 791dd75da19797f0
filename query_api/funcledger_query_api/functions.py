"""Routes that find functions and give their bodies."""

from typing import Annotated, Any, cast

import msgspec
from fastapi import APIRouter, Query
from starlette.responses import Response

from funcledger_event_log.records import Position
from funcledger_query_api.access import Page, is_visible, open_to, page_of, those_visible
from funcledger_query_api.answers import POSITION, binary, described
from funcledger_query_api.parameters import FunctionFilters, PathId, id_after
from funcledger_query_api.queries import Queries, SeenHeader
from funcledger_query_api.stored import parsed
from funcledger_read_models.documents import FUNCTION_CATALOGUE, FunctionEntry
from funcledger_read_models.port import ReadModelStore
from funcledger_schemas.events import FunctionRegistered
from funcledger_web.auth import Principal, allow
from funcledger_web.documentation import problems
from funcledger_web.problems import Problem

Reader = Annotated[Principal, allow("functions:read")]


class FunctionView(msgspec.Struct, gc=False):
    """A function without its body; ``registered_at`` in ms since 1970."""

    function_id: str
    name: str
    owner: str
    description: str | None
    metadata: dict[str, Any] | None
    public: bool
    group: str | None
    python_version: str
    dill_version: str
    payload_sha256: str
    payload_size: int
    registered_at: int


class FunctionPage(msgspec.Struct, gc=False):
    """Functions, newest first; the next page begins at ``cursor``. A page may be short and not the last.

    ``total`` is how many the search found, null where there may be more than were looked at.
    """

    functions: list[FunctionView]
    total: int | None
    cursor: str | None
    position: str


def router(queries: Queries) -> APIRouter:
    """The routes of ``/v1/functions`` that read."""
    routes = APIRouter(
        prefix="/v1/functions", tags=["functions"], route_class=queries.route_class,
        responses=problems("function-not-found", "behind", "read-models-unavailable", "log-unavailable"),
    )  # fmt: skip

    @routes.get("", summary="Search functions", responses=described(FunctionPage, "Functions."))
    async def search(
        who: Reader, filters: Annotated[FunctionFilters, Query()], seen: SeenHeader = None
    ) -> Response:
        token = await queries.catch_up(seen)
        page = await _page(queries.store, who, filters)
        shown = [_view(each) for each in page.found[filters.offset :]]
        whole = page.cursor is None and filters.cursor is None
        position = await queries.position(token)
        body = FunctionPage(shown, len(page.found) if whole else None, page.cursor, str(position))
        return queries.answer(body, position)

    @routes.get("/{function_id}", summary="A function", responses=described(FunctionView, "The function."))
    async def one(function_id: PathId, who: Reader, seen: SeenHeader = None) -> Response:
        token = await queries.catch_up(seen)
        view = _view(await _entry(queries, function_id, who))
        return queries.answer(view, await queries.position(token))

    @routes.get(
        "/{function_id}/body", summary="A function's serialised body", response_class=Response,
        responses=binary("application/octet-stream", "The bytes that were registered."),
    )  # fmt: skip
    async def body(function_id: PathId, who: Reader, seen: SeenHeader = None) -> Response:
        token = await queries.catch_up(seen)
        entry = await _entry(queries, function_id, who)
        (record,) = await queries.log.read([Position("functions", entry.partition, entry.offset)])
        event = record.event() if record is not None else None
        if not isinstance(event, FunctionRegistered):
            raise _not_found(function_id)
        headers = {POSITION: str(await queries.position(token)), "X-Content-Type-Options": "nosniff"}
        return Response(event.payload, headers=headers, media_type="application/octet-stream")

    return routes


async def _page(store: ReadModelStore, who: Principal, filters: FunctionFilters) -> Page[FunctionEntry]:
    """The page, and before it what is to be passed over."""
    wanted = filters.search.casefold()

    async def look_up(ids: list[str]) -> list[FunctionEntry]:
        keys = [(each,) for each in await those_visible(store, "function", ids, who)]
        known = (await store.load({FUNCTION_CATALOGUE: keys}))[FUNCTION_CATALOGUE]
        entries = [cast("FunctionEntry", known[key]) for key in keys if key in known]
        return [each for each in entries if wanted in f"{each.name}\n{each.description or ''}".casefold()]

    return await page_of(
        open_to(store, "function", who, own=filters.role == "owner"),
        look_up,
        lambda entry: entry.function_id,
        after=id_after(filters.cursor),
        limit=filters.offset + filters.limit,
    )


async def _entry(queries: Queries, function_id: str, who: Principal) -> FunctionEntry:
    entry = await queries.store.get(FUNCTION_CATALOGUE, (function_id,))
    if isinstance(entry, FunctionEntry) and await is_visible(queries.store, "function", function_id, who):
        return entry
    raise _not_found(function_id)


def _not_found(function_id: str) -> Problem:
    detail = f"There is no function {function_id} that you may use."
    return Problem("function-not-found", detail, function_id=function_id)


def _view(entry: FunctionEntry) -> FunctionView:
    return FunctionView(
        entry.function_id, entry.name, entry.owner, entry.description, parsed(entry.metadata), entry.public,
        entry.group, entry.python_version, entry.dill_version, entry.payload_sha256, entry.payload_size,
        entry.registered_at,
    )  # fmt: skip
