"""Builds an app from routers: the same seam, limits, problems, health and metrics for every one."""

from collections.abc import Mapping, Sequence
from importlib import metadata
from typing import Annotated, Any

from fastapi import APIRouter, FastAPI
from fastapi.dependencies.models import Dependant
from fastapi.responses import JSONResponse, PlainTextResponse
from fastapi.routing import APIRoute
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Lifespan

from funcledger_schemas.limits import BODY_LIMIT
from funcledger_web import handlers, health
from funcledger_web.auth import Allow, Authenticator, Gate, Principal, allow
from funcledger_web.documentation import COMMON_PROBLEMS
from funcledger_web.hosts import KnownHosts
from funcledger_web.json_values import ValuesLimit
from funcledger_web.limits import GRACE, BodyLimit, HeldBodies
from funcledger_web.metrics import Measure, RequestMetrics
from funcledger_web.rates import RateLimit, Rates
from funcledger_web.request_ids import RequestNames


def application(
    title: str,
    routers: Sequence[APIRouter],
    *,
    authenticator: Authenticator,
    allowed_hosts: Sequence[str],
    ready: health.Ready,
    lifespan: Lifespan[FastAPI] | None = None,
    metrics: RequestMetrics | None = None,
    about: Mapping[str, Any] | None = None,
    body_limit: int = BODY_LIMIT,
    body_grace: float = GRACE,
    rates: Rates | None = None,
    bodies: HeldBodies | None = None,
) -> FastAPI:
    """An app of these routers.

    ``allowed_hosts`` are the names it answers to ("*" for any); ``ready`` names parts that are not;
    ``metrics`` go to a registry of the app's own unless given; ``about`` is added to ``/version``;
    a body may have ``body_limit`` bytes and take ``body_grace`` seconds more than its size explains;
    ``rates`` bounds each principal's requests and ``bodies`` what is held of theirs, and apps that share
    one bound them together.

    Raises:
        TypeError: a route declares no :func:`funcledger_web.auth.allow`.
    """
    metrics = metrics or RequestMetrics(CollectorRegistry())
    middleware = [
        Middleware(RequestNames),
        Middleware(Measure, metrics=metrics),
        Middleware(KnownHosts, allowed=allowed_hosts),
        Middleware(Gate, authenticator=authenticator),
        Middleware(RateLimit, rates=rates or Rates()),
        Middleware(BodyLimit, limit=body_limit, grace=body_grace, bodies=bodies or HeldBodies()),
        Middleware(ValuesLimit),
    ]
    app = FastAPI(
        title=title, version=metadata.version("funcledger"), lifespan=lifespan, middleware=middleware,
        openapi_url=None, docs_url=None, redoc_url=None, redirect_slashes=False, responses=COMMON_PROBLEMS,
    )  # fmt: skip
    handlers.install(app)
    app.router.routes.extend(health.routes(ready))
    for router in (*routers, _operations(metrics, {"version": app.version, **(about or {})})):
        _check_guarded(router)
        app.include_router(router)
    return app


def _operations(metrics: RequestMetrics, about: Mapping[str, Any]) -> APIRouter:
    """What any valid token may see of the server itself."""
    router = APIRouter(tags=["server"])

    @router.get("/version", summary="The server's version and what it accepts")
    async def version(_who: Annotated[Principal, allow(None)]) -> dict[str, Any]:
        return dict(about)

    @router.get("/metrics", summary="Prometheus metrics", response_class=PlainTextResponse)
    async def numbers(_who: Annotated[Principal, allow(None)]) -> Response:
        return Response(generate_latest(metrics.registry), media_type=CONTENT_TYPE_LATEST)

    @router.get("/openapi.json", summary="This description", include_in_schema=False)
    async def description(request: Request, _who: Annotated[Principal, allow(None)]) -> Response:
        return JSONResponse(request.app.openapi())

    return router


def _check_guarded(router: APIRouter) -> None:
    for route in router.routes:
        if not (isinstance(route, APIRoute) and _guarded(route.dependant)):
            raise TypeError(f"{route} declares no allow(...): nothing is open that does not say to whom")


def _guarded(dependant: Dependant) -> bool:
    return any(isinstance(each.call, Allow) or _guarded(each) for each in dependant.dependencies)
