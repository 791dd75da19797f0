"""Routes that give results: of named tasks, and of batches as a stream."""

from typing import Annotated

from fastapi import APIRouter, Query, Request
from pydantic import Field
from starlette.responses import Response, StreamingResponse

from funcledger_query_api.answers import POSITION, binary
from funcledger_query_api.collecting import Collector
from funcledger_query_api.parameters import WAIT_LIMIT, Id
from funcledger_query_api.queries import Queries, SeenHeader, token_of
from funcledger_query_api.seen import Seen
from funcledger_query_api.sending import answer_frame
from funcledger_query_api.stream import ResultStream
from funcledger_query_api.waiting import TaskWait
from funcledger_schemas import frames
from funcledger_web.auth import Principal, allow
from funcledger_web.documentation import problems
from funcledger_web.handlers import invalid_field
from funcledger_web.json_values import SentModel

Reader = Annotated[Principal, allow("tasks:read")]
#: Most tasks in one request for results.
IDS_LIMIT = 10_000
#: Most batches of one stream.
BATCHES_LIMIT = 1000
_FRAME = (
    "A frame: JSON head {tasks, unknown, position}, then each task's `size` bytes of payload. The head has "
    "`as_of` (ms since 1970) and `stale` where the read models do not keep up."
)
_STREAM = (
    "Delimited frames: JSON head {tasks, position, resume}, then payloads; empty ones are signs of life. "
    "`position` is what the client has seen (Funcledger-Position), `resume` where its next stream goes on; "
    "`begun`, where there is one, lists tasks that have been running for a moment."
)


class ResultsRequest(SentModel):
    """Which tasks' results, and how many seconds to wait until all are finished."""

    task_ids: Annotated[list[Id], Field(min_length=1, max_length=IDS_LIMIT, fail_fast=True)]
    wait: float = Field(0, ge=0, le=WAIT_LIMIT)


def router(queries: Queries) -> APIRouter:
    """The routes of ``/v1/results``."""
    routes = APIRouter(
        prefix="/v1/results",
        tags=["results"],
        route_class=queries.route_class,
        responses=problems("behind", "read-models-unavailable", "log-unavailable"),
    )

    @routes.post(
        "",
        summary="Results of named tasks",
        response_class=Response,
        responses=binary(frames.MEDIA_TYPE, _FRAME),
    )
    async def results(asked: ResultsRequest, who: Reader, seen: SeenHeader = None) -> Response:
        """Answered when all are finished or the wait is over; failed tasks are results too."""
        token = token_of(seen)
        wait = TaskWait(queries, who.id, asked.task_ids)
        with queries.waits.poll(who, asked.wait):
            await wait.settle(token, asked.wait)
        collector = Collector(queries, who.id, wait)
        await collector.collect(dict.fromkeys(asked.task_ids))
        position = await collector.position(token)
        warning = queries.freshness.warning() if wait.read else {}
        body = answer_frame(collector.tasks, collector.payloads, collector.unknown, str(position), **warning)
        return Response(body, headers={POSITION: str(position)}, media_type=frames.MEDIA_TYPE)

    @routes.get(
        "/stream",
        summary="Results of batches as they land",
        response_class=StreamingResponse,
        responses=binary(frames.MEDIA_TYPE, _STREAM),
    )
    async def stream(
        request: Request,
        who: Reader,
        batch_id: Annotated[list[Id], Query(min_length=1, max_length=BATCHES_LIMIT)],
        after: Annotated[str | None, Query(max_length=20_000)] = None,
    ) -> StreamingResponse:
        """Goes on after what `Last-Event-ID` (or `after`) says was sent: a frame's `resume`."""
        sent = _seen(after if after is not None else request.headers.get("last-event-id", ""))
        queries.waits.check(who)
        source = ResultStream(
            queries.log,
            queries.store,
            queries.progress,
            queries.feed,
            owner=who.id,
            batches=batch_id,
            seen=sent,
        )
        chunks = queries.waits.stream(who, source.frames())
        return StreamingResponse(chunks, media_type=frames.MEDIA_TYPE, headers={"X-Accel-Buffering": "no"})

    return routes


def _seen(text: str) -> Seen:
    try:
        return Seen.parse(text)
    except ValueError:
        raise invalid_field(
            "after", "not what a stream of this server gave as resume; leave it out"
        ) from None
