"""What becomes of exceptions that leave a route: each is told as a problem, none tells of our insides."""

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, cast

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Match

from funcledger_schemas.ids import new_id
from funcledger_web.problems import Problem

_log = logging.getLogger(__name__)
#: Errors named in one answer; a body of thousands of wrong fields is not answered with as many.
_NAMED = 20
_SLUGS = {
    400: "invalid-request",
    404: "not-found",
    405: "method-not-allowed",
    413: "body-too-large",
    415: "unsupported-media-type",
}
_DETAILS = {
    "not-found": "No route has this address. See /openapi.json for those there are.",
    "method-not-allowed": "The address exists, but not with this method. See /openapi.json.",
    "invalid-request": "The body could not be read. See /openapi.json for its shape.",
}


def invalid(errors: Iterable[Mapping[str, Any]]) -> Problem:
    """The problem of a request whose fields are wrong; ``errors`` in pydantic's form.

    Names each field and what is wrong with it, never the value that was sent.
    """
    named = [
        {"field": _field(error), "message": str(error["msg"]).removeprefix("Value error, ")}
        for error in errors
    ]
    detail = "; ".join(f"{error['field']}: {error['message']}" for error in named[:_NAMED])
    if len(named) > _NAMED:
        detail += f"; and {len(named) - _NAMED} more"
    return Problem("invalid-request", detail, errors=named[:_NAMED])


def _field(error: Mapping[str, Any]) -> str:
    """The path of the field, "body" where it is all of it that cannot be read."""
    if error.get("type") == "json_invalid":
        return "body"
    return ".".join(str(part) for part in error["loc"]) or "body"


def invalid_field(field: str, message: str) -> Problem:
    """The problem of one wrong field."""
    return invalid([{"loc": (field,), "msg": message}])


async def _told(_request: Request, problem: Exception) -> Response:
    assert isinstance(problem, Problem)
    return problem.response()


async def _invalid_request(_request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    return invalid(_without_body(error.errors())).response()


async def _invalid_model(_request: Request, error: Exception) -> Response:
    assert isinstance(error, ValidationError)
    return invalid(cast("Sequence[Mapping[str, Any]]", error.errors())).response()


def _without_body(errors: Sequence[Any]) -> list[dict[str, Any]]:
    """The errors with FastAPI's leading "body", "path" or "query" left off where a field's name follows."""
    return [{**error, "loc": error["loc"][1:] or error["loc"]} for error in errors]


async def _http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if error.status_code == 405:
        return Problem(
            "method-not-allowed", _DETAILS["method-not-allowed"], headers=_allowed(request)
        ).response()
    slug = _SLUGS.get(error.status_code, "invalid-request" if error.status_code < 500 else "internal")
    status = None if error.status_code == 400 else error.status_code
    return Problem(slug, _DETAILS.get(slug, ""), status=status, headers=error.headers).response()


def _allowed(request: Request) -> dict[str, str]:
    """The methods of all routes with the request's address: the router names those of the first alone."""
    methods: set[str] = set()
    for route in flat(request.app.routes):
        if route.matches(request.scope)[0] is not Match.NONE:
            methods |= set(getattr(route, "methods", None) or ())
    return {"Allow": ", ".join(sorted(methods))}


def flat(routes: Iterable[BaseRoute]) -> Iterator[BaseRoute]:
    """The routes, with those of included routers in place."""
    for route in routes:
        included = getattr(route, "original_router", None)
        if included is None:
            yield route
        else:
            yield from flat(included.routes)


async def _cut_off(_request: Request, _error: Exception) -> Response:
    """Nobody is there to read it; what counts is that the log does not call it an error of ours."""
    return Problem("slow-request", "The connection was closed before the body was complete.").response()


async def _unexpected(request: Request, error: Exception) -> Response:
    """The client learns a number; the log, under that number, what happened."""
    incident = new_id()
    _log.error("incident %s in %s %s", incident, request.method, request.url.path, exc_info=error)
    detail = "The server's log tells more under this incident number. Trying again is safe."
    return Problem("internal", detail, incident=incident).response()


def install(app: FastAPI) -> None:
    """Answer every exception of this app's routes with a problem document."""
    app.add_exception_handler(Problem, _told)
    app.add_exception_handler(RequestValidationError, _invalid_request)
    app.add_exception_handler(ValidationError, _invalid_model)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(ClientDisconnect, _cut_off)
    app.add_exception_handler(Exception, _unexpected)
