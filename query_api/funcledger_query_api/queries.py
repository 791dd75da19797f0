"""What every query does: wait until the read models know what its client has seen, then read."""

import logging
from collections.abc import Callable, Coroutine
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import Header
from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.responses import Response

from funcledger_event_log.port import EventLog, LogCorrupt, LogUnavailable
from funcledger_event_log.present import present
from funcledger_event_log.records import Token
from funcledger_query_api.answers import POSITION, answer
from funcledger_query_api.feed import OutcomeFeed
from funcledger_query_api.freshness import Freshness
from funcledger_query_api.progress import Progress
from funcledger_read_models.port import ReadModelStore, StoreUnavailable
from funcledger_web.handlers import invalid_field
from funcledger_web.problems import Problem
from funcledger_web.rates import Waits

_log = logging.getLogger(__name__)

#: For routes: what the client has seen.
SeenHeader = Annotated[str | None, Header(alias=POSITION, description="Position token the client has seen.")]
#: Seconds a query waits for the read models to pass what its client has seen, unless it says more.
PATIENCE = 4.0
#: What questions are about, and seconds until the read models should know all there is of it: until then it
#: may be too early to say that there is no such thing.
_SUBJECTS, CERTAIN = ("functions", "endpoints", "tasks"), 2.0


class Queries:
    """The log, the store and the feed that routes read from."""

    def __init__(
        self, log: EventLog, store: ReadModelStore, progress: Progress, feed: OutcomeFeed, waits: Waits
    ) -> None:
        self.log = log
        self.store = store
        self.progress = progress
        self.feed = feed
        self.waits = waits
        self.freshness = Freshness(log, progress)

    @property
    def route_class(self) -> type[APIRoute]:
        """For routers: routes that say so when what they read from cannot be reached."""
        return type("Route", (QueryRoute,), {"queries": self})

    def answer(self, body: Any, position: Token) -> Response:
        """The body as JSON; read models that do not keep up are told of beside it, with what they know."""
        return answer(body, position, self.freshness.warning())

    async def catch_up(self, seen: str | None) -> Token:
        """Law 9: return once the read models have passed the client's token, which it gives.

        Raises:
            Problem: not a token (422), or the read models are still behind it (503).
        """
        token = token_of(seen)
        if not await self.progress.passed(token, PATIENCE):
            raise self.behind(token)
        return token

    async def caught_up(self) -> bool:
        """Whether the read models know, or learn soon, of all there is on the log now; no if it is away."""
        try:
            ends = await present(self.log, _SUBJECTS)
        except LogUnavailable:
            return False
        return await self.progress.passed(ends, CERTAIN)

    def log_time(self) -> int:
        """The log's time now, in ms: what an endpoint's last sign of life is compared with."""
        return self.freshness.now()

    async def position(self, token: Token) -> Token:
        """What somebody has seen who had seen the token and read documents just now."""
        return token.merge(await self.progress.now())

    def behind(self, token: Token) -> Problem:
        """The problem of a query that may not be answered from what the read models know."""
        lag = self.progress.lag(token)
        detail = (
            f"The read models are {sum(lag.values())} records behind what you have seen. Try again shortly."
        )
        return Problem("behind", detail, lag=lag, **self.freshness.warning())


def token_of(seen: str | None) -> Token:
    """The token in a request's header.

    Raises:
        Problem: it is not one of ours.
    """
    try:
        return Token.parse(seen or "")
    except ValueError:
        raise invalid_field(POSITION, "not a position token of this server; leave it out") from None


class QueryRoute(APIRoute):
    """A route that says so when what it reads from cannot be reached; see ``Queries.route_class``.

    Before it says that there is no such thing it looks once more, when the read models know of what is on the
    log by then: whoever asks may have been told of it by another program, which had just submitted it.
    """

    queries: Queries

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The handler, with the store's and the log's errors told as problems."""
        handler = super().get_route_handler()

        async def telling(request: Request) -> Response:
            try:
                return await self._certain(handler, request)
            except StoreUnavailable as error:
                detail = "The read models cannot be read just now. Commands are taken; ask again shortly."
                as_of = self.queries.freshness.as_of
                raise Problem("read-models-unavailable", detail, as_of=as_of, stale=True) from error
            except LogUnavailable as error:
                detail = "The log, which holds part of the answer, cannot be read just now. Try again."
                raise Problem("log-unavailable", detail) from error
            except LogCorrupt as error:
                _log.error("a query meets damage: %s", error)
                detail = (
                    "A record that the answer needs is damaged, so it is not given. The server's operator "
                    "must put back a backup; the server's log names the place."
                )
                raise Problem("log-damaged", detail) from error

        return telling

    async def _certain(
        self, handler: Callable[[Request], Coroutine[Any, Any, Response]], request: Request
    ) -> Response:
        try:
            return await handler(request)
        except Problem as problem:
            if problem.status_code != HTTPStatus.NOT_FOUND or not await self.queries.caught_up():
                raise
            return await handler(request)
