"""Which names this server answers to: a page that rebinds its own name to our address gets nowhere."""

from collections.abc import Iterable

from starlette.types import ASGIApp, Receive, Scope, Send

from funcledger_web.problems import Problem

#: In ``allowed``: any name will do, for a server behind a proxy that has checked it.
ANY = "*"


def _name(host: str) -> str:
    """The name in a Host header, without its port."""
    if host.startswith("["):
        return host.partition("]")[0] + "]"
    return host.partition(":")[0]


class KnownHosts:
    """Middleware: answers 421 unless there is one Host header and its name (port apart) is allowed."""

    def __init__(self, app: ASGIApp, allowed: Iterable[str]) -> None:
        self._app = app
        self._allowed = frozenset(_name(host.lower()) for host in allowed)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let the request in, or answer 421."""
        if scope["type"] != "http" or self._knows(scope):
            await self._app(scope, receive, send)
            return
        detail = (
            "The Host header names no host this server was told of. Use its own address; or, if it "
            "is reached by this name through a proxy, have it added to FUNCLEDGER_ALLOWED_HOSTS there."
        )
        await Problem("unknown-host", detail).send(scope, receive, send)

    def _knows(self, scope: Scope) -> bool:
        if ANY in self._allowed:
            return True
        hosts = [value for name, value in scope["headers"] if name == b"host"]
        return len(hosts) == 1 and _name(hosts[0].decode("latin-1").lower()) in self._allowed
