"""Prometheus metrics of an app's requests, in a registry that is passed in."""

import time
from functools import lru_cache

from prometheus_client import CollectorRegistry, Gauge, Histogram
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0)


class RequestMetrics:
    """The instruments of one registry; apps that share the registry share them."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.registry = registry
        self._seconds = Histogram(
            "funcledger_http_request_seconds",
            "Seconds from a request's head to the end of its answer",
            ("method", "route", "status"),
            buckets=_BUCKETS,
            registry=registry,
        )
        self.running = Gauge("funcledger_http_requests_running", "Requests being answered", registry=registry)
        self.child = lru_cache(maxsize=1024)(self._seconds.labels)


class Measure:
    """Middleware: how long each request took, by method, route and status."""

    def __init__(self, app: ASGIApp, metrics: RequestMetrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer the request and note how long it took."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        status = 500
        begun = time.perf_counter()

        async def noting(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        self._metrics.running.inc()
        try:
            await self._app(scope, receive, noting)
        finally:
            self._metrics.running.dec()
            route = getattr(scope.get("route"), "path", "none")
            child = self._metrics.child(_method(scope), route, str(status))
            child.observe(time.perf_counter() - begun)


def _method(scope: Scope) -> str:
    """The method, from a short list: a client must not be able to make up labels."""
    method: str = scope["method"]
    return method if method in ("GET", "POST", "PUT", "DELETE", "HEAD") else "other"
