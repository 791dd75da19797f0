"""How many requests a principal may send, and how many may wait at once: in memory, by process."""

import math
from collections import Counter
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing, contextmanager
from typing import Final

from starlette.types import ASGIApp, Receive, Scope, Send

from funcledger_schemas import clock
from funcledger_schemas.limits import OPEN_WAITS, REQUEST_BURST, REQUEST_RATE
from funcledger_web.auth import Principal, principal_of
from funcledger_web.problems import Problem

#: An agent speaks for all users of its endpoint at once.
_ENDPOINT_SHARE = 10
#: Principals remembered before those that could send a whole burst again are forgotten.
_REMEMBERED = 10_000


class Rates:
    """A token bucket for each principal: ``burst`` requests at once, and ``rate`` per second for ever.

    A bucket is one number: when it will be full again (GCRA). A ``rate`` of 0 is no limit.
    """

    def __init__(self, rate: float = REQUEST_RATE, burst: int = REQUEST_BURST) -> None:
        self.rate: Final = rate
        self._spacing = int(1e9 / rate) if rate else 0
        self._depth = self._spacing * burst
        self._full_at: dict[str, int] = {}

    def take(self, who: Principal) -> float:
        """Seconds until the principal may send this request; 0 when it may now, which takes a token."""
        token = self._spacing // _ENDPOINT_SHARE if who.kind == "endpoint" else self._spacing
        now = clock.current().monotonic_ns()
        full_at = max(now, self._full_at.get(who.actor, 0)) + token
        if (early := full_at - now - self._depth) > 0:
            return early / 1e9
        if len(self._full_at) >= _REMEMBERED:
            self._full_at = {actor: at for actor, at in self._full_at.items() if at > now}
        self._full_at[who.actor] = full_at
        return 0.0


class RateLimit:
    """Middleware behind the gate: answers 429 beyond a principal's rate, before the body is read."""

    def __init__(self, app: ASGIApp, rates: Rates) -> None:
        self._app = app
        self._rates = rates

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let the request in, or answer 429."""
        who = principal_of(scope)
        if who is not None and (wait := self._rates.take(who)):
            await self._refusal(wait).send(scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _refusal(self, wait: float) -> Problem:
        detail = (
            f"You send more than {self._rates.rate:g} requests a second. Send this one again after the time "
            "in Retry-After. Tasks that go together in one request count as one."
        )
        return Problem("too-many-requests", detail, retry_after=math.ceil(wait), limit=self._rates.rate)


class Waits:
    """Counts the streams and long polls that each principal has open; beyond ``most`` they are refused."""

    def __init__(self, most: int = OPEN_WAITS) -> None:
        self._most = most
        self._open: Counter[str] = Counter()

    def check(self, who: Principal) -> None:
        """Refuse what would be one too many.

        Raises:
            Problem: 429, the principal has as many open as it may.
        """
        if self.of(who) >= self._most:
            raise self._refusal()

    @contextmanager
    def one(self, who: Principal) -> Iterator[None]:
        """One more, until the end of the block; whoever must answer first has checked before."""
        self._open[who.actor] += 1
        try:
            yield
        finally:
            self._open[who.actor] -= 1
            if not self._open[who.actor]:
                del self._open[who.actor]

    @contextmanager
    def poll(self, who: Principal, seconds: float) -> Iterator[None]:
        """The block may wait so long; one that does not wait is not counted.

        Raises:
            Problem: as :meth:`check`.
        """
        if not seconds:
            yield
            return
        self.check(who)
        with self.one(who):
            yield

    async def stream(self, who: Principal, chunks: AsyncGenerator[bytes]) -> AsyncGenerator[bytes]:
        """The same chunks, counted while they are sent."""
        with self.one(who):
            async with aclosing(chunks):
                async for chunk in chunks:
                    yield chunk

    def of(self, who: Principal) -> int:
        """How many the principal has open."""
        return self._open.get(who.actor, 0)

    def _refusal(self) -> Problem:
        detail = (
            f"You have {self._most} streams and waits open, which is the limit. End some of them: one stream "
            "carries the results of up to 1,000 batches, one wait those of up to 10,000 tasks."
        )
        return Problem("too-many-requests", detail, retry_after=1, limit=self._most)
