"""Routes that register, share and delete functions."""

import hashlib
from typing import Annotated

from fastapi import APIRouter, Request
from starlette.responses import Response

from funcledger_command_api import bodies
from funcledger_command_api.answers import FunctionAnswer, answer
from funcledger_command_api.commands import Commands, Seen, traceparent
from funcledger_command_api.models import FunctionHead, FunctionJson, Id, settings_text
from funcledger_command_api.ownership import own_function, tell
from funcledger_event_log.records import NewRecord, Position, Token
from funcledger_schemas import clock
from funcledger_schemas.events import FunctionDeleted, FunctionRegistered
from funcledger_schemas.ids import new_id
from funcledger_schemas.limits import PAYLOAD_LIMIT
from funcledger_web.auth import Principal, allow
from funcledger_web.catalogue import Function
from funcledger_web.documentation import frame_body, problems
from funcledger_web.problems import Problem

Writer = Annotated[Principal, allow("functions:write")]
_PROBLEMS = problems(
    "function-not-found", "payload-too-large", "conflict", "unsupported-media-type",
    "behind", "log-unavailable", "outcome-unknown", "log-full",
)  # fmt: skip


def router(commands: Commands) -> APIRouter:
    """The routes of ``/v1/functions`` that change something."""
    routes = APIRouter(prefix="/v1/functions", tags=["functions"], responses=_PROBLEMS)

    @routes.post(
        "",
        status_code=201,
        response_model=FunctionAnswer,
        summary="Register a function",
        openapi_extra=frame_body("A function and its serialised body.", FunctionHead, FunctionJson),
    )
    async def register(request: Request, who: Writer, seen: Seen = None) -> Response:
        await commands.catch_up(seen)
        asked, payload = _read(request, await request.body())
        if asked.group is not None:
            commands.check_exists("group", asked.group, "group")
        event = _registered(asked, payload, who)
        known = commands.catalogue.functions.get(event.function_id)
        if known is None:
            await commands.append_and_see(NewRecord.of(event, 0, traceparent(request)))
            known = commands.catalogue.functions[event.function_id]
        _check_same(known, event)
        token = Token.after([Position(*known.where)])
        return answer(201, token, FunctionAnswer(position=str(token), function_id=event.function_id))

    @routes.delete("/{function_id}", response_model=FunctionAnswer, summary="Delete a function")
    async def delete(request: Request, function_id: Id, who: Writer, seen: Seen = None) -> Response:
        """It can no longer be found or run; tasks submitted before keep running."""
        await commands.catch_up(seen)
        await own_function(commands, who, function_id)
        token = await tell(commands, request, who, FunctionDeleted, function_id=function_id)
        return answer(200, token, FunctionAnswer(position=str(token), function_id=function_id))

    return routes


def _read(request: Request, body: bytes) -> tuple[FunctionHead | FunctionJson, bytes]:
    """What is to be registered, and its body.

    Raises:
        Problem: 422 for a wrong field, 413 for a body over the limit (law 12).
    """
    if bodies.is_frame(request):
        head, start = bodies.parse_head(FunctionHead, body)
        return head, _checked(head.name, bodies.cut(body, start, [head.size])[0])
    asked = bodies.parse(FunctionJson, body)
    return asked, _checked(asked.name, asked.payload)


def _checked(name: str, payload: bytes) -> bytes:
    if len(payload) > PAYLOAD_LIMIT:
        raise bodies.payload_too_large(f"The bytes of function {name!r}", len(payload))
    return payload


def _registered(asked: FunctionHead | FunctionJson, payload: bytes, who: Principal) -> FunctionRegistered:
    return FunctionRegistered(
        event_id=new_id(),
        occurred_at=clock.micros(),
        actor=who.actor,
        function_id=asked.function_id,
        owner=who.id,
        name=asked.name,
        description=asked.description,
        metadata=settings_text(asked.metadata),
        public=asked.public,
        group=asked.group,
        python_version=asked.python_version,
        dill_version=asked.dill_version,
        payload_format=asked.payload_format,
        payload_sha256=hashlib.sha256(payload).hexdigest(),
        payload_size=len(payload),
        payload=payload,
        payload_code=asked.payload_code,
    )


def _check_same(known: Function, event: FunctionRegistered) -> None:
    """That what stands under this id is what was sent: then a retry is the same registration.

    Raises:
        Problem: 409.
    """
    stands = (known.owner, known.name, known.public, known.content_hash)
    if known.deleted or stands != (event.owner, event.name, event.public, event.payload_sha256):
        detail = f"The id {event.function_id} was used before for another function. Use a new one."
        raise Problem("conflict", detail, function_id=event.function_id)
