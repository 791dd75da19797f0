"""The route that tells how a batch stands."""

from collections import Counter
from typing import Annotated

import msgspec
from fastapi import APIRouter, Query
from starlette.responses import Response

from funcledger_query_api.answers import described
from funcledger_query_api.liveness import offline_among
from funcledger_query_api.parameters import BatchPage, PathId, cursor_of, key_of
from funcledger_query_api.queries import Queries, SeenHeader
from funcledger_query_api.views import shown_status
from funcledger_read_models.documents import BATCH_RESULTS, BatchResult, Key
from funcledger_read_models.port import ReadModelStore
from funcledger_web.auth import Principal, allow
from funcledger_web.documentation import problems
from funcledger_web.problems import Problem

Reader = Annotated[Principal, allow("tasks:read")]
_PAGE = 5000


class BatchTask(msgspec.Struct, gc=False):
    """One task of a batch."""

    task_id: str
    endpoint_id: str
    status: str
    batch_index: int | None


class Batch(msgspec.Struct, gc=False):
    """A batch: its size (declared, or what was submitted so far), tasks by status, and a page of tasks.

    ``total`` and ``counts`` come with the first page only.
    """

    batch_id: str
    total: int | None
    counts: dict[str, int] | None
    tasks: list[BatchTask]
    cursor: str | None
    position: str


def router(queries: Queries) -> APIRouter:
    """The routes of ``/v1/batches``."""
    routes = APIRouter(
        prefix="/v1/batches",
        tags=["tasks"],
        route_class=queries.route_class,
        responses=problems("batch-not-found", "behind", "read-models-unavailable"),
    )

    @routes.get("/{batch_id}", summary="How a batch stands", responses=described(Batch, "The batch."))
    async def batch(
        batch_id: PathId, who: Reader, page: Annotated[BatchPage, Query()], seen: SeenHeader = None
    ) -> Response:
        token = await queries.catch_up(seen)
        prefix = (who.id, batch_id)
        after = key_of(page.cursor, prefix, 2)
        found = await _page(queries.store, prefix, after, page.limit)
        shown = [each for each in found if _is_submitted(each)]
        if not shown and len(found) < page.limit and after is None:
            detail = f"There is no batch {batch_id} of yours."
            raise Problem("batch-not-found", detail, batch_id=batch_id)
        offline = await offline_among(queries.store, found, queries.log_time())
        total, counts = (None, None) if after else await _counted(queries, prefix)
        position = await queries.position(token)
        body = Batch(
            batch_id,
            total,
            counts,
            [_task(each, offline) for each in shown],
            _cursor(found, page.limit),
            str(position),
        )
        return queries.answer(body, position)

    return routes


def _is_submitted(document: BatchResult) -> bool:
    """Whether it is a task of this batch: an agent may name any batch in what it says of a task."""
    return document.submitted_at is not None


def _task(document: BatchResult, offline: frozenset[str]) -> BatchTask:
    status = shown_status(document.status, document.endpoint_id, offline)
    return BatchTask(document.task_id, document.endpoint_id, status.value, document.batch_index)


def _cursor(found: list[BatchResult], limit: int) -> str | None:
    return cursor_of(BATCH_RESULTS.key_of(found[-1])[2:]) if len(found) == limit else None


async def _page(store: ReadModelStore, prefix: Key, after: Key | None, limit: int) -> list[BatchResult]:
    found = await store.find(BATCH_RESULTS, prefix, after=after, limit=limit)
    return [each for each in found if isinstance(each, BatchResult)]


async def _counted(queries: Queries, prefix: Key) -> tuple[int, dict[str, int]]:
    """The batch's size, and its tasks by status, counted."""
    counts: Counter[str] = Counter()
    declared = 0
    after: Key | None = None
    while page := await _page(queries.store, prefix, after, _PAGE):
        offline = await offline_among(queries.store, page, queries.log_time())
        tasks = [each for each in page if _is_submitted(each)]
        counts.update(shown_status(each.status, each.endpoint_id, offline).value for each in tasks)
        declared = max(declared, *(each.batch_size or 0 for each in page))
        after = BATCH_RESULTS.key_of(page[-1])
    return max(declared, counts.total()), dict(counts)
