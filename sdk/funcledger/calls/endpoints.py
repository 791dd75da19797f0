"""What a client can be asked about endpoints."""

from collections.abc import Mapping
from typing import Any

from funcledger.calls.connection import Connection
from funcledger.names import Id
from funcledger.task_settings import either, refuse_others


class EndpointCalls(Connection):
    """Register, read, share and delete endpoints."""

    def get_endpoints(self, role: str | None = None) -> list[dict[str, Any]]:
        """The endpoints you may use; with role "owner" only your own."""
        return self.endpoints.list(role)

    def get_endpoint_status(
        self, endpoint_id: Id | None = None, *, endpoint_uuid: Id | None = None
    ) -> dict[str, Any]:
        """``status`` is "online" or "offline"; ``logs[0]`` and ``details`` say how busy it is."""
        return self.endpoints.status(either("endpoint_id", endpoint_id, "endpoint_uuid", endpoint_uuid))

    def get_endpoint_metadata(
        self, endpoint_id: Id | None = None, *, endpoint_uuid: Id | None = None
    ) -> dict[str, Any]:
        """All that is known of an endpoint."""
        return self.endpoints.get(either("endpoint_id", endpoint_id, "endpoint_uuid", endpoint_uuid))

    def register_endpoint(
        self,
        name: str,
        endpoint_id: Id | None = None,
        metadata: Mapping[str, Any] | None = None,
        *,
        description: str | None = None,
        public: bool = False,
        **original: Any,
    ) -> dict[str, Any]:
        """Register an endpoint: its id, name, and the credential for its agent, which is shown only now.

        Further keywords of the original service are refused with the reason, but for what holds anyway.
        """
        refuse_others("register_endpoint", original)
        return self.endpoints.register(
            name, endpoint_id, metadata=metadata, description=description, public=public
        )

    def delete_endpoint(self, endpoint_id: Id) -> None:
        """Delete an endpoint."""
        self.endpoints.delete(endpoint_id)

    def share_endpoint(self, endpoint_id: Id, *, user: str | None = None, group: str | None = None) -> None:
        """Let a user or a group run functions on an endpoint."""
        self.shares.add("endpoints", self.endpoints.resolve(endpoint_id), user, group)

    def unshare_endpoint(self, endpoint_id: Id, *, user: str | None = None, group: str | None = None) -> None:
        """Take that back."""
        self.shares.remove("endpoints", self.endpoints.resolve(endpoint_id), user, group)
