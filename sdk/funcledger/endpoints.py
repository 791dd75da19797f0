"""Endpoints on the server: find, read, register, delete."""

import hashlib
import secrets
from typing import TYPE_CHECKING, Any

from funcledger.names import Id, as_id, segment
from funcledger_schemas.ids import is_id, new_id

if TYPE_CHECKING:
    from funcledger.transport import Transport


class Endpoints:
    """The endpoints that this user may see."""

    def __init__(self, transport: "Transport") -> None:
        self._transport = transport
        self._ids: dict[str, str] = {}

    def resolve(self, endpoint: Id) -> str:
        """The id of an endpoint given by its id or its name.

        Raises:
            EndpointNotFound: there is none of this name.
        """
        text = str(endpoint)
        known = self._ids.get(text)
        if known is None:
            known = text.lower() if is_id(text.lower()) else str(self.get(text)["endpoint_id"])
            self._ids[text] = known
        return known

    def get(self, endpoint: Id) -> dict[str, Any]:
        """All that is known of an endpoint given by its id or its name.

        Raises:
            EndpointNotFound: there is none that this user may see.
            InvalidRequest: no name at all.
        """
        found: dict[str, Any] = self._transport.get(f"/v1/endpoints/{segment(str(endpoint), 'endpoint_id')}")
        return found

    def list(self, role: str | None) -> list[dict[str, Any]]:
        """The endpoints this user may use, by name; with role "owner" only his own."""
        found = self._transport.pages("/v1/endpoints", "endpoints", role=role)
        found.sort(key=lambda endpoint: (endpoint["name"] or "", endpoint["endpoint_id"]))
        return [{**endpoint, "uuid": endpoint["endpoint_id"]} for endpoint in found]

    def status(self, endpoint: Id) -> dict[str, Any]:
        """Whether it is online, and how busy, in the tutorial's form (``logs``) and today's (``details``).

        While it is offline ``pending_tasks`` and ``outstanding_tasks`` are your own that wait for it.
        """
        known = self.get(endpoint)
        offline = known.get("status") == "offline"
        details = {
            "total_workers": known.get("workers"),
            "idle_workers": known.get("idle"),
            "busy_workers": known.get("busy"),
            "pending_tasks": known.get("waiting") if offline else known.get("queued"),
            "outstanding_tasks": known.get("waiting") if offline else known.get("outstanding"),
            **{name: known.get(name) for name in ("cores", "memory_total", "memory_available", "load")},
        }
        log = {**details, "timestamp": known.get("last_seen")}
        shown = (
            "endpoint_id",
            "name",
            "status",
            "last_seen",
            "host",
            "platform",
            "python_version",
            "agent_version",
        )
        return {**{name: known.get(name) for name in shown}, "logs": [log], "details": details}

    def register(self, name: str, endpoint_id: Id | None = None, **about: Any) -> dict[str, Any]:
        """Register an endpoint; the answer has the ``credential`` its agent needs, shown only now."""
        credential = f"fle_{secrets.token_urlsafe(32)}"
        body = {
            "endpoint_id": new_id() if endpoint_id is None else as_id(endpoint_id, "endpoint_id"),
            "name": name,
            "credential_sha256": hashlib.sha256(credential.encode()).hexdigest(),
            **{key: value for key, value in about.items() if value is not None},
        }
        answer = self._transport.request("POST", "/v1/endpoints", json=body).json()
        self._transport.seen.merge(answer.get("position"))
        return {"endpoint_id": answer["endpoint_id"], "name": name, "credential": credential}

    def delete(self, endpoint: Id) -> None:
        """Delete an endpoint; its name is free again."""
        self._transport.request("DELETE", f"/v1/endpoints/{self.resolve(endpoint)}")
        self._ids.pop(str(endpoint), None)
