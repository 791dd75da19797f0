"""Liveness and readiness, open to all: they say which part is missing and nothing else."""

from collections.abc import Awaitable, Callable, Sequence

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

#: Names the parts that are not ready just now; empty when all are.
Ready = Callable[[], Awaitable[Sequence[str]]]


async def _alive(_request: Request) -> Response:
    return JSONResponse({"status": "ok"})


def routes(ready: Ready) -> list[Route]:
    """``/healthz`` (the process answers) and ``/readyz`` (its parts do too, else 503)."""

    async def readiness(_request: Request) -> Response:
        missing = await ready()
        if not missing:
            return JSONResponse({"status": "ready"})
        body = {"status": "not-ready", "missing": list(missing)}
        return JSONResponse(body, 503, {"Retry-After": "1"})

    return [Route("/healthz", _alive), Route("/readyz", readiness)]
