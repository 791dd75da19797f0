"""Bounds on request bodies, kept while they are read: how large, how slow, how many, in what encoding."""

import asyncio
from collections import Counter

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from funcledger_schemas.limits import BODIES, BODIES_PER_PRINCIPAL, BODY_LIMIT
from funcledger_web.auth import principal_of
from funcledger_web.problems import Problem

#: A body may take this many seconds, and one more for every so many bytes that have come.
GRACE = 20.0
MIN_RATE = 16 * 1024
#: What stays unread of a refused body is not waited for.
_CLOSE = {"Connection": "close"}


def _too_large(limit: int) -> Problem:
    detail = f"The body is over {limit} bytes. Split the request into smaller ones."
    return Problem("body-too-large", detail, headers=_CLOSE, limit=limit)


def _refusal(scope: Scope, limit: int) -> Problem | None:
    """What is wrong by the headers alone."""
    for name, value in scope["headers"]:
        if name == b"content-encoding" and value.strip().lower() not in (b"", b"identity"):
            detail = "Compressed bodies are not accepted. Send it without Content-Encoding."
            return Problem("unsupported-media-type", detail, headers=_CLOSE)
        if name == b"content-length" and (not value.isdigit() or len(value) > 19 or int(value) > limit):
            return _too_large(limit)
    return None


class HeldBodies:
    """Bytes of bodies that are held in memory: of each principal, and of all of them."""

    def __init__(self, each: int = BODIES_PER_PRINCIPAL, most: int = BODIES) -> None:
        self._each = each
        self._most = most
        self._of: Counter[str] = Counter()
        self.held = 0

    def take(self, actor: str, size: int) -> None:
        """So many bytes more are held for this principal.

        Raises:
            Problem: 429, the principal has as many as it may; 503, all of them together have.
        """
        if self._of[actor] + size > self._each:
            raise self._too_many_of_one()
        if self.held + size > self._most:
            raise self._too_many()
        self._of[actor] += size
        self.held += size

    def give_back(self, actor: str, size: int) -> None:
        """They are held no more."""
        self.held -= size
        self._of[actor] -= size
        if not self._of[actor]:
            del self._of[actor]

    def _too_many_of_one(self) -> Problem:
        detail = (
            f"The bodies that you are sending at once have over {self._each} bytes. Send this one again when "
            "an earlier one is answered."
        )
        return Problem("too-many-requests", detail, limit=self._each)

    def _too_many(self) -> Problem:
        return Problem("busy", "The server is reading as much as it may. Send it again after Retry-After.")


class _Share:
    """One request's part of :class:`HeldBodies`: all that it announces from the start, else what has come."""

    def __init__(self, bodies: HeldBodies, actor: str, announced: int) -> None:
        self._bodies = bodies
        self._actor = actor
        self._size = 0
        self.grow_to(announced)

    def grow_to(self, size: int) -> None:
        """Hold so much, if that is more.

        Raises:
            Problem: as :meth:`HeldBodies.take`.
        """
        if size > self._size:
            self._bodies.take(self._actor, size - self._size)
            self._size = size

    def give_back(self) -> None:
        """Hold nothing."""
        if self._size:
            self._bodies.give_back(self._actor, self._size)
            self._size = 0


class _Reader:
    """A ``receive`` that counts and times what it lets through."""

    def __init__(self, receive: Receive, limit: int, grace: float, share: _Share) -> None:
        self._receive = receive
        self._limit = limit
        self._grace = grace
        self._share = share
        self._size = 0
        self._waited = 0.0
        self._done = False

    async def __call__(self) -> Message:
        if self._done:  # what comes now is the disconnect, which may take for ever
            return await self._receive()
        message = await self._timely()
        self._size += len(message.get("body", b""))
        self._done = not message.get("more_body", False)
        if self._size > self._limit:
            raise _too_large(self._limit)
        self._share.grow_to(self._size)
        return message

    async def _timely(self) -> Message:
        now = asyncio.get_running_loop().time
        begun = now()
        allowed = self._grace + self._size / MIN_RATE - self._waited
        try:
            async with asyncio.timeout(allowed):
                message = await self._receive()
        except TimeoutError:
            detail = "The body came too slowly. Send it again, in smaller requests if the connection is slow."
            raise Problem("slow-request", detail, headers=_CLOSE) from None
        self._waited += now() - begun
        return message


def _announced(scope: Scope) -> int:
    """Bytes that the body is said to have; 0 where nothing is said."""
    for name, value in scope["headers"]:
        if name == b"content-length":
            return int(value)
    return 0


class BodyLimit:
    """Middleware: refuses bodies over ``limit`` bytes (also chunked ones), compressed, too slow, or too many.

    What a body takes is held of ``bodies`` until the answer begins: by then it has been read and understood.
    """

    def __init__(
        self, app: ASGIApp, limit: int = BODY_LIMIT, grace: float = GRACE, bodies: HeldBodies | None = None
    ) -> None:
        self._app = app
        self._limit = limit
        self._grace = grace
        self._bodies = bodies or HeldBodies()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let the request in with a bounded body, or answer 413, 415, 429 or 503."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if (problem := _refusal(scope, self._limit)) is not None:
            await problem.send(scope, receive, send)
            return
        who = principal_of(scope)
        try:
            share = _Share(self._bodies, who.actor if who else "", _announced(scope))
        except Problem as full:
            await full.send(scope, receive, send)
            return

        async def releasing(message: Message) -> None:
            share.give_back()
            await send(message)

        try:
            await self._app(scope, _Reader(receive, self._limit, self._grace, share), releasing)
        finally:
            share.give_back()
