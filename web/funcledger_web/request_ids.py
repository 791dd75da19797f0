"""Repeats in each answer the name that the client gave its request, for the client to compare."""

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from funcledger_schemas.request_ids import HEADER, LONGEST

_NAME = HEADER.lower().encode()


class RequestNames:
    """Middleware: who reads the answer learns which request it is to."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer the request under its name, if it has one."""
        name = _name_of(scope) if scope["type"] == "http" else None
        if name is None:
            await self._app(scope, receive, send)
            return

        async def naming(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), (_NAME, name)]
            await send(message)

        await self._app(scope, receive, naming)


def _name_of(scope: Scope) -> bytes | None:
    for name, value in scope["headers"]:
        if name == _NAME:
            plain = 0 < len(value) <= LONGEST and value.isascii() and value.decode().isprintable()
            return value if plain else None
    return None
