"""Apps as tests talk to them: in memory, over ASGI, with tokens at hand."""

from typing import Any

import httpx2
from fastapi import APIRouter, FastAPI

from funcledger_web.app import application
from funcledger_web.auth import Authenticator, Principal
from funcledger_web.handlers import flat
from funcledger_web.tokens import ENDPOINT_PREFIX, USER_PREFIX, TokenTable, digest, new_token

ADA, BOB = new_token(USER_PREFIX), new_token(USER_PREFIX)
#: May read tasks and nothing else.
READER = new_token(USER_PREFIX)
ENDPOINT = new_token(ENDPOINT_PREFIX)
ENDPOINT_ID = "00000000-0000-7000-8000-00000000e001"

TOKENS = TokenTable(
    {
        digest(ADA): Principal("user", "ada"),
        digest(BOB): Principal("user", "bob"),
        digest(READER): Principal("user", "rita", frozenset({"tasks:read"})),
        digest(ENDPOINT): Principal.endpoint(ENDPOINT_ID),
    }
)


async def always_ready() -> list[str]:
    return []


def app_of(*routers: APIRouter, authenticator: Authenticator = TOKENS, **options: Any) -> FastAPI:
    """An app of these routers, on the host ``server``, that knows the tokens above."""
    options = {"allowed_hosts": ["server"], "ready": always_ready, **options}
    return application("test", routers, authenticator=authenticator, **options)


def client_of(app: FastAPI, token: str | None = ADA) -> httpx2.AsyncClient:
    """A client of the app; unexpected exceptions become the 500 that a real server would send."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    transport = httpx2.ASGITransport(app=app, raise_app_exceptions=False)
    return httpx2.AsyncClient(transport=transport, base_url="http://server", headers=headers)


def routes_of(app: FastAPI) -> list[tuple[str, str]]:
    """Method and path of every route there is, each path parameter standing for itself."""
    pairs = set()
    for route in flat(app.routes):
        path = str(getattr(route, "path", "")).replace("{", "").replace("}", "")
        pairs |= {(method, path) for method in getattr(route, "methods", None) or ()}
    return sorted(pairs)
