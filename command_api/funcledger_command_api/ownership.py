"""What an owner, and nobody else, may do to a function or an endpoint: share it and delete it."""

from funcledger_command_api.commands import Commands
from funcledger_web.auth import Principal
from funcledger_web.catalogue import Endpoint, Function, Resource
from funcledger_web.problems import Problem


async def own_function(commands: Commands, who: Principal, function_id: str) -> Function:
    """The user's own function, deleted or not.

    Raises:
        Problem: 404 where there is none that he may see, 403 where it is another's.
    """
    functions = commands.catalogue.functions
    if function_id not in functions:
        await commands.refresh()
    found = functions.get(function_id)
    if found is None or not _visible(found, who):
        raise function_not_found(function_id)
    _check_owner(found, who)
    return found


async def own_endpoint(commands: Commands, who: Principal, endpoint_id: str) -> Endpoint:
    """The user's own endpoint, deleted or not.

    Raises:
        Problem: 404 where there is none that he may see, 403 where it is another's.
    """
    endpoints = commands.catalogue.endpoints
    if endpoint_id not in endpoints:
        await commands.refresh()
    found = endpoints.get(endpoint_id)
    if found is None or not _visible(found, who):
        raise endpoint_not_found(endpoint_id)
    _check_owner(found, who)
    return found


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


def _visible(resource: Resource, who: Principal) -> bool:
    return resource.owner == who.id or resource.open_to(who)


def _check_owner(resource: Resource, who: Principal) -> None:
    if resource.owner != who.id:
        raise Problem("forbidden", f"{resource.name!r} belongs to somebody else; only its owner may do that.")
