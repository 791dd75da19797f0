"""A connection to a server, which every call of a client stands on."""

import os
from typing import Self

from funcledger.endpoints import Endpoints
from funcledger.errors import InvalidRequest
from funcledger.functions import Functions
from funcledger.listener import Listener
from funcledger.results import Results
from funcledger.settings import find_server
from funcledger.sharing import Shares
from funcledger.task_settings import Settable, refuse
from funcledger_schemas import tracing


class Connection(Settable):
    """One server, and what asks it for functions, endpoints, results and shares."""

    _fields = frozenset({"transport", "functions", "endpoints", "results", "shares", "listener"})

    def __init__(
        self,
        url: str | None = None,
        token: str | None = None,
        *,
        patience: float = 60.0,
        room_timeout: float | None = None,
    ) -> None:
        from funcledger.transport import Transport  # brings httpx2 and tenacity, so not with the import

        try:
            tracing.enable_as_told(os.environ)
        except ValueError as error:
            raise InvalidRequest(f"{error}.") from None
        self.transport = Transport(find_server(url, token), patience=patience, room_timeout=room_timeout)
        self.functions = Functions(self.transport)
        self.endpoints = Endpoints(self.transport)
        self.results = Results(self.transport)
        self.shares = Shares(self.transport)
        #: The one stream of results of all executors on this client.
        self.listener = Listener(self.transport)

    @property
    def patience(self) -> float:
        """Seconds that a request is repeated while the server cannot be reached."""
        return self.transport.patience

    @patience.setter
    def patience(self, seconds: float) -> None:
        self.transport.patience = seconds

    @property
    def room_timeout(self) -> float | None:
        """Seconds that the server may ask for pauses; None for ever."""
        return self.transport.room_timeout

    @room_timeout.setter
    def room_timeout(self, seconds: float | None) -> None:
        self.transport.room_timeout = seconds

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.transport.server.url!r})"

    def version_check(self, endpoint_version: object = None) -> dict[str, str]:
        """The versions of this SDK and of the server."""
        refuse(endpoint_version=endpoint_version)
        from importlib.metadata import version

        return {"sdk": version("funcledger"), "server": str(self.transport.get("/version")["version"])}

    def logout(self) -> None:
        """Forget the token; this client can do nothing more."""
        self.transport.forget_token()

    @property
    def closed(self) -> bool:
        """Whether it has been closed."""
        return self.transport.closed

    def close(self) -> None:
        """Close the connections; unfinished futures of executors on this client end with ClientClosed."""
        self.listener.close()
        self.transport.close()
