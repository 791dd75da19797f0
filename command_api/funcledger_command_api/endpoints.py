"""Routes that register and delete endpoints."""

import asyncio
from typing import Annotated

from fastapi import APIRouter, Request
from starlette.responses import Response

from funcledger_command_api.answers import EndpointAnswer, EndpointRegisteredAnswer, answer
from funcledger_command_api.commands import Commands, Seen, traceparent
from funcledger_command_api.models import EndpointJson, Id, settings_text
from funcledger_command_api.ownership import own_endpoint, tell
from funcledger_event_log.records import NewRecord, Position, Token
from funcledger_schemas import clock
from funcledger_schemas.events import EndpointDeleted, EndpointRegistered
from funcledger_schemas.ids import new_id
from funcledger_web.auth import Principal, allow
from funcledger_web.catalogue import Catalogue, Endpoint
from funcledger_web.documentation import problems
from funcledger_web.problems import Problem

Writer = Annotated[Principal, allow("endpoints:write")]
_PROBLEMS = problems(
    "endpoint-not-found", "conflict", "behind", "log-unavailable", "outcome-unknown", "log-full"
)


def router(commands: Commands) -> APIRouter:
    """The routes of ``/v1/endpoints`` that change something."""
    routes = APIRouter(prefix="/v1/endpoints", tags=["endpoints"], responses=_PROBLEMS)
    # One at a time, so that a name is taken once and partitions fill evenly.
    turn = asyncio.Lock()

    @routes.post("", status_code=201, response_model=EndpointRegisteredAnswer, summary="Register an endpoint")
    async def register(request: Request, asked: EndpointJson, who: Writer, seen: Seen = None) -> Response:
        await commands.catch_up(seen)
        async with turn:
            await commands.refresh()
            known = commands.catalogue.endpoints.get(asked.endpoint_id)
            if known is None:
                _check_free(commands.catalogue, asked, who)
                event = _registered(asked, who, await _least_loaded(commands))
                await commands.append_and_see(NewRecord.of(event, 0, traceparent(request)))
                known = commands.catalogue.endpoints[asked.endpoint_id]
        _check_same(known, asked, who)
        token = Token.after([Position(*known.where)])
        body = EndpointRegisteredAnswer(
            position=str(token), endpoint_id=asked.endpoint_id, partition=known.partition
        )
        return answer(201, token, body)

    @routes.delete("/{endpoint_id}", response_model=EndpointAnswer, summary="Delete an endpoint")
    async def delete(request: Request, endpoint_id: Id, who: Writer, seen: Seen = None) -> Response:
        """Its credential opens nothing any more, and nothing can be sent to it."""
        await commands.catch_up(seen)
        await own_endpoint(commands, who, endpoint_id)
        token = await tell(commands, request, who, EndpointDeleted, endpoint_id=endpoint_id)
        return answer(200, token, EndpointAnswer(position=str(token), endpoint_id=endpoint_id))

    return routes


async def _least_loaded(commands: Commands) -> int:
    """The partition with the fewest live endpoints, the lowest of those."""
    load = commands.catalogue.load()
    return min(range(await commands.partitions()), key=lambda partition: (load[partition], partition))


def _registered(asked: EndpointJson, who: Principal, partition: int) -> EndpointRegistered:
    return EndpointRegistered(
        event_id=new_id(),
        occurred_at=clock.micros(),
        actor=who.actor,
        endpoint_id=asked.endpoint_id,
        owner=who.id,
        name=asked.name,
        description=asked.description,
        metadata=settings_text(asked.metadata),
        public=asked.public,
        partition=partition,
        credential_sha256=asked.credential_sha256,
    )


def _check_free(catalogue: Catalogue, asked: EndpointJson, who: Principal) -> None:
    if catalogue.endpoint_named(who.id, asked.name) is not None:
        detail = f"You have an endpoint named {asked.name!r}. Choose another name, or delete that one."
        raise Problem("conflict", detail, name=asked.name)
    if catalogue.endpoint_of_credential(asked.credential_sha256) is not None:
        raise Problem("conflict", "Another endpoint has this credential. Make a new one.")


def _check_same(known: Endpoint, asked: EndpointJson, who: Principal) -> None:
    stands = (known.owner, known.name, known.public, known.credential_sha256)
    if known.deleted or stands != (who.id, asked.name, asked.public, asked.credential_sha256):
        detail = f"The id {asked.endpoint_id} was used before for another endpoint. Use a new one."
        raise Problem("conflict", detail, endpoint_id=asked.endpoint_id)
