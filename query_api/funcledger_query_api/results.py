"""Routes that give results: of named tasks, and of batches as a stream."""

from collections.abc import Collection
from typing import Annotated
from weakref import WeakValueDictionary

from fastapi import APIRouter, Query, Request
from pydantic import Field
from starlette.responses import Response, StreamingResponse

from funcledger_query_api.answers import POSITION, binary
from funcledger_query_api.collecting import Collector
from funcledger_query_api.parameters import WAIT_LIMIT, Id, PathId
from funcledger_query_api.queries import Queries, SeenHeader, token_of
from funcledger_query_api.seen import Seen
from funcledger_query_api.sending import answer_frame
from funcledger_query_api.stream import BATCHES_LIMIT, ResultStream, stream_ended
from funcledger_query_api.waiting import TaskWait
from funcledger_schemas import frames
from funcledger_web.auth import Principal, allow
from funcledger_web.documentation import problems
from funcledger_web.handlers import invalid_field
from funcledger_web.json_values import SentModel

Reader = Annotated[Principal, allow("tasks:read")]
#: Most tasks in one request for results.
IDS_LIMIT = 10_000
#: Most batches that an address names.
NAMED_LIMIT = 1000
_FRAME = (
    "A frame: JSON head {tasks, unknown, position}, then each task's `size` bytes of payload. The head has "
    "`as_of` (ms since 1970) and `stale` where the read models do not keep up."
)
_STREAM = (
    "Delimited frames: JSON head {tasks, position, resume}, then payloads; empty ones are signs of life. "
    "`position` is what the client has seen (Funcledger-Position), `resume` where its next stream goes on; "
    "`begun`, where there is one, lists tasks that have been running for a moment. The first head has "
    "`stream`, the id to change its batches by; `settled` lists batches whose earlier outcomes are all sent."
)
_Batches = Annotated[list[Id], Field(default_factory=list, max_length=BATCHES_LIMIT, fail_fast=True)]


class ResultsRequest(SentModel):
    """Which tasks' results, and how many seconds to wait until all are finished."""

    task_ids: Annotated[list[Id], Field(min_length=1, max_length=IDS_LIMIT, fail_fast=True)]
    wait: float = Field(0, ge=0, le=WAIT_LIMIT)


class StreamRequest(SentModel):
    """Which batches a stream is of.

    Of ``batch_ids`` it goes on after ``after``, a frame's ``resume``; of ``joining`` it sends all there is.
    """

    batch_ids: _Batches
    joining: _Batches
    after: str = Field("", max_length=1_000_000)


class StreamChange(SentModel):
    """Batches that join an open stream, and others that leave it."""

    add: _Batches
    remove: _Batches


def router(queries: Queries) -> APIRouter:
    """The routes of ``/v1/results``."""
    routes = APIRouter(
        prefix="/v1/results",
        tags=["results"],
        route_class=queries.route_class,
        responses=problems("behind", "read-models-unavailable", "log-unavailable"),
    )

    streams: WeakValueDictionary[str, ResultStream] = WeakValueDictionary()

    def open_stream(
        who: Principal, batches: Collection[str], joining: Collection[str], sent: Seen
    ) -> StreamingResponse:
        queries.waits.check(who)
        parts = (queries.log, queries.store, queries.progress, queries.feed)
        source = ResultStream(*parts, owner=who.id, batches=batches, joining=joining, seen=sent)
        streams[source.stream_id] = source
        chunks = queries.waits.stream(who, source.frames())
        return StreamingResponse(chunks, media_type=frames.MEDIA_TYPE, headers={"X-Accel-Buffering": "no"})

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
        batch_id: Annotated[list[Id], Query(min_length=1, max_length=NAMED_LIMIT)],
        after: Annotated[str | None, Query(max_length=20_000)] = None,
    ) -> StreamingResponse:
        """Goes on after what `Last-Event-ID` (or `after`) says was sent: a frame's `resume`."""
        sent = after if after is not None else request.headers.get("last-event-id", "")
        return open_stream(who, batch_id, (), _seen(sent))

    @routes.post(
        "/stream",
        summary="Results of batches as they land, of any number of batches",
        response_class=StreamingResponse,
        responses=binary(frames.MEDIA_TYPE, _STREAM),
    )
    async def stream_of(asked: StreamRequest, who: Reader) -> StreamingResponse:
        """As the other, and its batches may change while it is open."""
        return open_stream(who, asked.batch_ids, asked.joining, _seen(asked.after))

    @routes.post(
        "/stream/{stream_id}",
        summary="Change the batches of an open stream",
        status_code=204,
        responses=problems("stream-ended"),
    )
    async def change(stream_id: PathId, asked: StreamChange, who: Reader) -> None:
        """Also 410 if another process has the stream: then open one anew, with its `resume`."""
        found = streams.get(stream_id)
        if found is None or found.owner != who.id:
            raise stream_ended(stream_id)
        found.change(asked.add, asked.remove)

    return routes


def _seen(text: str) -> Seen:
    try:
        return Seen.parse(text)
    except ValueError:
        raise invalid_field(
            "after", "not what a stream of this server gave as resume; leave it out"
        ) from None
