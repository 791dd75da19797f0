"""What an owner, and nobody else, may do to a function or an endpoint: share it and delete it."""

from collections.abc import Callable, Mapping
from typing import TypeVar

from starlette.requests import Request

from funcledger_command_api.commands import Commands, traceparent
from funcledger_event_log.records import NewRecord, Token
from funcledger_schemas import clock
from funcledger_schemas.events import Event
from funcledger_schemas.ids import new_id
from funcledger_web.auth import Principal
from funcledger_web.catalogue import Endpoint, Function
from funcledger_web.problems import Problem

Owned = TypeVar("Owned", Function, Endpoint)
#: What to answer for an id where there is nothing that this user may see.
Missing = Callable[[str], Problem]


async def own_function(commands: Commands, who: Principal, function_id: str) -> Function:
    """The user's own function, deleted or not.

    Raises:
        Problem: 404 where there is none that he may see, 403 where it is another's.
    """
    return await _own(commands, commands.catalogue.functions, who, function_id, function_not_found)


async def own_endpoint(commands: Commands, who: Principal, endpoint_id: str) -> Endpoint:
    """The same of an endpoint."""
    return await _own(commands, commands.catalogue.endpoints, who, endpoint_id, endpoint_not_found)


async def _own(
    commands: Commands, known: Mapping[str, Owned], who: Principal, an_id: str, missing: Missing
) -> Owned:
    if an_id not in known:
        await commands.refresh()
    found = known.get(an_id)
    if found is None or not (found.owner == who.id or found.open_to(who)):
        raise missing(an_id)
    if found.owner != who.id:
        raise Problem("forbidden", f"{found.name!r} belongs to somebody else; only its owner may do that.")
    return found


async def tell(
    commands: Commands, request: Request, who: Principal, kind: Callable[..., Event], **fields: str
) -> Token:
    """Append an event by an owner about what is his; returns once the catalogue has taken it in."""
    event = kind(event_id=new_id(), occurred_at=clock.micros(), actor=who.actor, owner=who.id, **fields)
    return await commands.append_and_see(NewRecord.of(event, 0, traceparent(request)))


def function_not_found(function_id: str) -> Problem:
    """The answer where there is no such function, or none that this user may see: the same for both."""
    detail = (
        f"There is no function {function_id} that you may use. Register it, or ask its owner to share it."
    )
    return Problem("function-not-found", detail, function_id=function_id)


def endpoint_not_found(endpoint_id: str) -> Problem:
    """The answer where there is no such endpoint, or none that this user may see: the same for both."""
    detail = f"There is no endpoint {endpoint_id} that you may use. See 'funcledger endpoint list'."
    return Problem("endpoint-not-found", detail, endpoint_id=endpoint_id)
