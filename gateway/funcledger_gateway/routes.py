"""The endpoints' door: routes that an endpoint's credential opens, and no user's token."""

from dataclasses import asdict
from functools import partial
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Path, Request, Response
from fastapi.responses import StreamingResponse
from pydantic import AfterValidator, BaseModel, Field

from funcledger_event_log.checks import check_metadata
from funcledger_event_log.endpoint_port import REFUSED
from funcledger_event_log.endpoint_wire import FETCH_LIMIT, PREFIX
from funcledger_gateway.answers import told
from funcledger_gateway.door import Door
from funcledger_gateway.feed import begun, feed, finite, whole
from funcledger_gateway.intake import records_of
from funcledger_schemas import manifest
from funcledger_schemas.frames import MEDIA_TYPE
from funcledger_web.auth import GATEWAY, Principal, allow
from funcledger_web.documentation import Responses, problems
from funcledger_web.json_values import SentModel
from funcledger_web.problems import Problem

#: Streams go through proxies as they come, neither gathered nor stored.
_UNBUFFERED = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}

Who = Annotated[Principal, allow(GATEWAY)]
Offset = Annotated[int, Field(ge=0, lt=1 << 63)]
#: In JSON, where a number is a number: false is not 0.
JsonOffset = Annotated[int, Field(ge=0, lt=1 << 63, strict=True)]
_FRAME = {"type": "string", "format": "binary", "description": "A frame of encoded events."}
_PROBLEMS: Responses = problems(
    "function-not-found", "schema-not-found", "fenced", "payload-too-large", "log-unavailable",
    "outcome-unknown", "log-full", "log-damaged",
)  # fmt: skip
_PROBLEMS[410] = {**problems("conflict")[409], "description": "`conflict`: what begins there is kept no more"}


def _short(metadata: str) -> str:
    check_metadata(metadata)
    return metadata


class Fetch(SentModel):
    """Which records are wanted whole."""

    offsets: Annotated[list[JsonOffset], Field(max_length=FETCH_LIMIT, fail_fast=True)]


class Appended(BaseModel):
    """Where each event of a frame stands, in order; null for one that was refused by itself.

    `refused`, where there is one, says why: place in the frame, `not_found` (no such task of that owner and
    batch was submitted to this endpoint) or `already_finished` (the first outcome stands), and a sentence.
    """

    offsets: list[int | None]
    refused: list[tuple[int, str, str]] = []


class Kept(SentModel):
    """An agent's position in its tasks, and what it notes beside it."""

    offset: JsonOffset
    metadata: Annotated[str, AfterValidator(_short)]


def routers(door: Door) -> list[APIRouter]:
    """Every route of the gateway."""
    return [_state(door), _tasks(door), _results(door)]


def _state(door: Door) -> APIRouter:
    """Who the endpoint is and where it stands."""
    router = APIRouter(prefix=PREFIX, tags=["gateway"], responses=_PROBLEMS)

    @router.get("/identity", summary="Whom the credential speaks for")
    async def identity(who: Who) -> dict[str, Any]:
        return asdict(door.identity(who))

    @router.get("/ends", summary="The present ends of the endpoint's tasks and results")
    async def ends(who: Who) -> dict[str, int]:
        with told():
            tasks, results = await door.view(who).ends()
        return {"tasks": tasks, "results": results}

    @router.get("/position", summary="The position kept last; 204 when there is none")
    async def committed(who: Who) -> Response:
        with told():
            kept = await door.view(who).committed()
        if kept is None:
            return Response(status_code=204)
        body = Kept(offset=kept.offset, metadata=kept.metadata)
        return Response(body.model_dump_json(), media_type="application/json")

    @router.put("/position", summary="Keep the agent's position", status_code=204)
    async def commit(who: Who, kept: Kept) -> None:
        with told():
            await door.view(who).commit(kept.offset, kept.metadata)

    @router.get(
        "/schemas/{name}/{version}", summary="A schema, for agents older than it", response_class=Response
    )
    async def schema(
        who: Who, name: Annotated[str, Path(max_length=100)], version: Annotated[int, Path(ge=1)]
    ) -> Response:
        for entry in manifest.entries():
            if (entry.name, entry.version) == (name, version):
                return Response(manifest.schema_text(entry), media_type="application/json")
        raise Problem(
            "schema-not-found", f"There is no version {version} of {name} here. Upgrade the server first."
        )

    return router


def _tasks(door: Door) -> APIRouter:
    """What the endpoint has been given to do."""
    router = APIRouter(prefix=PREFIX, tags=["gateway"], responses=_PROBLEMS)

    @router.get("/tasks", summary="Follow the endpoint's tasks", response_class=StreamingResponse)
    async def follow(
        who: Who, start: Offset, credit: Offset, credit_bytes: Offset, epoch: Offset | None = None
    ) -> Response:
        door.waits.check(who)
        with told():
            await door.check_feed(who, start, epoch)
        batches = door.view(who).follow_tasks(start, credit=credit, credit_bytes=credit_bytes)
        chunks = feed(
            batches, door.feed_ended(who, epoch), door.keep_alive, partial(door.note_damage, who, start)
        )
        return StreamingResponse(door.waits.stream(who, chunks), headers=_UNBUFFERED, media_type=MEDIA_TYPE)

    @router.post("/tasks/fetch", summary="Whole records of tasks", response_class=StreamingResponse)
    async def fetch(who: Who, wanted: Fetch) -> Response:
        with told():
            chunks = await begun(finite(whole(door.view(who), wanted.offsets), bare=False))
        return StreamingResponse(chunks, headers=_UNBUFFERED, media_type=MEDIA_TYPE)

    @router.get("/functions/{content_hash}", summary="A function's payload", response_class=Response)
    async def function(
        who: Who, content_hash: Annotated[str, Path(pattern="^[0-9a-f]{64}$")], offset: Offset
    ) -> Response:
        with told():
            payload = await door.view(who).function(content_hash, offset)
        return Response(payload, media_type="application/octet-stream")

    return router


def _results(door: Door) -> APIRouter:
    """What has become of it."""
    router = APIRouter(prefix=PREFIX, tags=["gateway"], responses=_PROBLEMS)

    @router.get("/results", summary="The endpoint's results so far", response_class=StreamingResponse)
    async def results(who: Who, start: Offset, end: Offset) -> Response:
        with told():
            chunks = await begun(finite(door.view(who).read_results(start, end), bare=True))
        return StreamingResponse(chunks, headers=_UNBUFFERED, media_type=MEDIA_TYPE)

    @router.post(
        "/events",
        summary="Append what an agent has seen happen",
        response_model=Appended,
        openapi_extra={"requestBody": {"required": True, "content": {MEDIA_TYPE: {"schema": _FRAME}}}},
    )
    async def append(who: Who, request: Request) -> Response:
        view = door.view(who)
        with told():
            records = await records_of(await request.body(), view)
            appended = await view.append_records(records)
        answer: dict[str, Any] = {"offsets": appended.offsets}
        if appended.refused:
            answer["offsets"] = [None if each == REFUSED else each for each in appended.offsets]
            answer["refused"] = [(at, *why) for at, why in appended.refused.items()]
        return Response(msgspec.json.encode(answer), media_type="application/json")

    return router
