"""The one authorisation seam: who is asking, and whether a route is open to them."""

import base64
import binascii
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from fastapi import Request, Security
from fastapi.openapi.models import HTTPBearer as HTTPBearerModel
from fastapi.security.base import SecurityBase
from starlette.types import ASGIApp, Receive, Scope, Send

from funcledger_web.problems import Problem

#: What a user's token may be allowed; the default is all of it.
USER_SCOPES = frozenset(
    {
        "tasks:read",
        "tasks:write",
        "functions:read",
        "functions:write",
        "endpoints:read",
        "endpoints:write",
    }
)
#: What an endpoint's credential opens, and no user's token does.
GATEWAY = "gateway"
#: Paths that answer without a token: the health probes.
OPEN_PATHS = frozenset({"/healthz", "/readyz"})
#: Where the token may come as the password of Basic authentication (RFC 7617), with any user name: clients
#: of schema registries know no other way. There alone: browsers send it unasked, so it must change nothing.
BASIC_PATHS = "/schema-registry/"

_PRINCIPAL = "funcledger.principal"


@dataclass(slots=True, frozen=True)
class Principal:
    """Who is asking: a user by name, or an endpoint by id; what the token allows; the user's groups."""

    kind: Literal["user", "endpoint"]
    id: str
    scopes: frozenset[str] = USER_SCOPES
    groups: frozenset[str] = frozenset()

    @classmethod
    def endpoint(cls, endpoint_id: str) -> "Principal":
        """The endpoint a credential belongs to: it opens the gateway and nothing else."""
        return cls("endpoint", endpoint_id, frozenset({GATEWAY}))

    @property
    def actor(self) -> str:
        """How events name who caused them, such as ``user:ada``."""
        return f"{self.kind}:{self.id}"

    def may(self, scope: str) -> bool:
        """Whether the token allows this; the gateway is for endpoints, whatever a user's scopes say."""
        return scope in self.scopes and (scope == GATEWAY) == (self.kind == "endpoint")


def principal_of(scope: Scope) -> Principal | None:
    """Who the gate found to be asking; None on the paths that are open to all."""
    principal: Principal | None = scope.get(_PRINCIPAL)
    return principal


class Authenticator(Protocol):
    """Knows tokens."""

    async def authenticate(self, token: str) -> Principal | None:
        """Whom the token speaks for; None when it opens nothing, for whatever reason."""
        ...


class AnyOf:
    """Asks several authenticators in turn."""

    def __init__(self, *authenticators: Authenticator) -> None:
        self._authenticators = authenticators

    async def authenticate(self, token: str) -> Principal | None:
        """The first answer."""
        for authenticator in self._authenticators:
            if (principal := await authenticator.authenticate(token)) is not None:
                return principal
        return None


def unauthenticated() -> Problem:
    """The one answer to an absent, malformed, wrong, expired or revoked token."""
    detail = "Send the header 'Authorization: Bearer <token>' with a token that is valid on this server."
    return Problem("unauthenticated", detail, headers={"WWW-Authenticate": "Bearer"})


def _token(headers: Sequence[tuple[bytes, bytes]], *, basic: bool) -> str | None:
    """The token of the one Authorization header there may be; ``basic`` is whether it may be a password."""
    found = [value for name, value in headers if name == b"authorization"]
    scheme, _, credentials = (found[0] if len(found) == 1 else b"").partition(b" ")
    try:
        if scheme.lower() == b"bearer":
            return credentials.decode("ascii").strip()
        if basic and scheme.lower() == b"basic":
            return base64.b64decode(credentials, validate=True).decode("ascii").partition(":")[2]
    except (UnicodeDecodeError, binascii.Error):
        pass
    return None


class Gate:
    """Middleware: nothing but the health probes is reached, and no body read, without a valid token."""

    def __init__(self, app: ASGIApp, authenticator: Authenticator) -> None:
        self._app = app
        self._authenticator = authenticator

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let the request in, or answer 401."""
        if scope["type"] == "http" and scope["path"] not in OPEN_PATHS:
            token = _token(scope["headers"], basic=scope["path"].startswith(BASIC_PATHS))
            principal = await self._authenticator.authenticate(token) if token else None
            if principal is None:
                await unauthenticated().send(scope, receive, send)
                return
            scope[_PRINCIPAL] = principal
        await self._app(scope, receive, send)


class Allow(SecurityBase):
    """The dependency every route declares: it opens the route to those whose token has a scope.

    ``None`` opens it to any valid token. :func:`funcledger_web.app.application` refuses to start with a
    route that has none: deny by default.
    """

    def __init__(self, scope: str | None) -> None:
        self.scope = scope
        self.model = HTTPBearerModel(
            description="A user's token (flu_…) or an endpoint's credential (fle_…)."
        )
        self.scheme_name = "token"

    async def __call__(self, request: Request) -> Principal:
        """Who is asking.

        Raises:
            Problem: unauthenticated or forbidden.
        """
        principal: Principal | None = request.scope.get(_PRINCIPAL)
        if principal is None:
            raise unauthenticated()
        if self.scope is not None and not principal.may(self.scope):
            raise Problem("forbidden", f"This needs a token with the scope {self.scope!r}.", scope=self.scope)
        return principal


def allow(scope: str | None) -> Any:
    """For routes: ``who: Annotated[Principal, allow("tasks:read")]``."""
    return Security(Allow(scope), scopes=[scope] if scope else [])
