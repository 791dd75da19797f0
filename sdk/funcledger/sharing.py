"""Sharing a function or an endpoint with a user or a group."""

from typing import TYPE_CHECKING
from urllib.parse import quote

from funcledger.errors import InvalidRequest

if TYPE_CHECKING:
    from funcledger.transport import Transport


class Shares:
    """Who else may use what is yours; ``kind`` is "functions" or "endpoints"."""

    def __init__(self, transport: "Transport") -> None:
        self._transport = transport

    def add(self, kind: str, resource_id: str, user: str | None, group: str | None) -> None:
        """Share with one of the two."""
        self._transport.request("PUT", _path(kind, resource_id, user, group))

    def remove(self, kind: str, resource_id: str, user: str | None, group: str | None) -> None:
        """Stop sharing with one of the two."""
        self._transport.request("DELETE", _path(kind, resource_id, user, group))


def _path(kind: str, resource_id: str, user: str | None, group: str | None) -> str:
    if (user is None) == (group is None):
        raise InvalidRequest("Name either user= or group=.")
    who = f"user/{quote(user, safe='')}" if user is not None else f"group/{quote(group or '', safe='')}"
    return f"/v1/{kind}/{resource_id}/shares/{who}"
