"""Routes that share functions and endpoints with users and groups, and take shares back."""

from typing import Annotated, Literal

from fastapi import APIRouter, Request
from starlette.responses import Response

from funcledger_command_api.answers import EndpointAnswer, FunctionAnswer, answer
from funcledger_command_api.commands import Commands, Seen
from funcledger_command_api.models import Id, Name
from funcledger_command_api.ownership import own_endpoint, own_function, tell
from funcledger_schemas.events import EndpointShared, EndpointUnshared, FunctionShared, FunctionUnshared
from funcledger_schemas.limits import SHARES_LIMIT
from funcledger_web.auth import Principal, allow
from funcledger_web.catalogue import Resource
from funcledger_web.documentation import problems
from funcledger_web.handlers import invalid_field

Kind = Literal["user", "group"]
FunctionWriter = Annotated[Principal, allow("functions:write")]
EndpointWriter = Annotated[Principal, allow("endpoints:write")]
_PROBLEMS = problems(
    "function-not-found", "endpoint-not-found", "behind", "log-unavailable", "outcome-unknown", "log-full"
)
_FUNCTION = "/v1/functions/{function_id}/shares/{kind}/{grantee}"
_ENDPOINT = "/v1/endpoints/{endpoint_id}/shares/{kind}/{grantee}"


def router(commands: Commands) -> APIRouter:
    """The routes of shares."""
    routes = APIRouter(tags=["shares"], responses=_PROBLEMS)

    @routes.put(_FUNCTION, response_model=FunctionAnswer, summary="Share a function")
    @routes.delete(_FUNCTION, response_model=FunctionAnswer, summary="Take back the share of a function")
    async def function(
        request: Request, function_id: Id, kind: Kind, grantee: Name, who: FunctionWriter, seen: Seen = None
    ) -> Response:
        await commands.catch_up(seen)
        _check(commands, request, await own_function(commands, who, function_id), kind, grantee)
        told = FunctionShared if request.method == "PUT" else FunctionUnshared
        share = {"grantee_kind": kind, "grantee": grantee}
        token = await tell(commands, request, who, told, function_id=function_id, **share)
        return answer(200, token, FunctionAnswer(position=str(token), function_id=function_id))

    @routes.put(_ENDPOINT, response_model=EndpointAnswer, summary="Share an endpoint")
    @routes.delete(_ENDPOINT, response_model=EndpointAnswer, summary="Take back the share of an endpoint")
    async def endpoint(
        request: Request, endpoint_id: Id, kind: Kind, grantee: Name, who: EndpointWriter, seen: Seen = None
    ) -> Response:
        await commands.catch_up(seen)
        _check(commands, request, await own_endpoint(commands, who, endpoint_id), kind, grantee)
        told = EndpointShared if request.method == "PUT" else EndpointUnshared
        share = {"grantee_kind": kind, "grantee": grantee}
        token = await tell(commands, request, who, told, endpoint_id=endpoint_id, **share)
        return answer(200, token, EndpointAnswer(position=str(token), endpoint_id=endpoint_id))

    return routes


def _check(commands: Commands, request: Request, shared: Resource, kind: Kind, grantee: str) -> None:
    """Refuse a share with nobody, and one share too many: every change writes all of them.

    Raises:
        Problem: 422.
    """
    if request.method != "PUT":
        return
    commands.check_exists(kind, grantee, "grantee")
    if len(shared.users) + len(shared.groups) >= SHARES_LIMIT:
        message = f"{shared.name!r} is shared with {SHARES_LIMIT} users and groups, which is the limit"
        raise invalid_field("grantee", f"{message}: share it with a group, or take back other shares")
