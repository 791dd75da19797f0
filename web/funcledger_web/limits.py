"""Bounds on request bodies, kept while they are read: how large, how slow, and in what encoding."""

import asyncio

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from funcledger_schemas.limits import BODY_LIMIT
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


class _Reader:
    """A ``receive`` that counts and times what it lets through."""

    def __init__(self, receive: Receive, limit: int, grace: float) -> None:
        self._receive = receive
        self._limit = limit
        self._grace = grace
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


class BodyLimit:
    """Middleware: refuses bodies over ``limit`` bytes (also chunked ones), compressed or too slow."""

    def __init__(self, app: ASGIApp, limit: int = BODY_LIMIT, grace: float = GRACE) -> None:
        self._app = app
        self._limit = limit
        self._grace = grace

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let the request in with a bounded body, or answer 413 or 415."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if (problem := _refusal(scope, self._limit)) is not None:
            await problem.send(scope, receive, send)
            return
        await self._app(scope, _Reader(receive, self._limit, self._grace), send)
