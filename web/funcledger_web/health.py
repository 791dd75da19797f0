"""Liveness and readiness, open to all: they say which part is missing and why, and nothing else."""

from collections.abc import Awaitable, Callable, Collection, Mapping

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from funcledger_web.problems import Problem

#: Names the parts that are not ready just now, each with sentences that say why and what to do where there is
#: more to be said than that; empty when all are.
Ready = Callable[[], Awaitable[Collection[str] | Mapping[str, str]]]
_WHY = "It has stopped or cannot be reached; the server's log says more."


async def _alive(_request: Request) -> Response:
    return JSONResponse({"status": "ok"})


def routes(ready: Ready) -> list[Route]:
    """``/healthz`` (the process answers) and ``/readyz`` (its parts do too, else a problem document, 503)."""

    async def readiness(_request: Request) -> Response:
        missing = await ready()
        if not missing:
            return JSONResponse({"status": "ready"})
        reasons = missing if isinstance(missing, Mapping) else dict.fromkeys(missing, _WHY)
        detail = " ".join(f"The {name}: {why or _WHY}" for name, why in reasons.items())
        return Problem("not-ready", detail, missing=list(reasons)).response()

    return [Route("/healthz", _alive), Route("/readyz", readiness)]
