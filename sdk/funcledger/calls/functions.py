"""What a client can be asked about functions."""

from collections.abc import Callable, Mapping
from types import NoneType
from typing import Any

from funcledger.calls.connection import Connection
from funcledger.errors import InvalidRequest
from funcledger.functions import description_of, serialise_function
from funcledger.names import Id, as_id
from funcledger.submission import check_serializer
from funcledger.task_settings import refuse


class FunctionCalls(Connection):
    """Register, read, search, share and delete functions."""

    def register_function(
        self,
        function: Callable[..., Any],
        description: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        public: bool = False,
        group: str | None = None,
        *,
        function_name: str | None = None,
        container_uuid: object = None,
        searchable: object = None,
        serializer: str | None = None,
    ) -> str:
        """Store a function with all it refers to; its id. The description defaults to the docstring.

        ``function_name`` defaults to its own. ``serializer`` "cloudpickle" or "dill" says who writes it; None
        takes what can. ``container_uuid`` and ``searchable`` are of the original service, and refused.
        """
        refuse(container_uuid=container_uuid, searchable=searchable)
        _check_kinds(description, metadata, public, group)
        check_serializer(serializer, code=True)
        return self.functions.register(
            serialise_function(function, serializer),
            name=function_name,
            description=description_of(function) if description is None else description,
            metadata=metadata,
            public=public,
            group=group,
        )

    def register_source_code(
        self,
        source: str,
        function_name: str,
        description: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        public: bool = False,
        group: str | None = None,
    ) -> str:
        """Store a function given as source that defines ``function_name``; its id."""
        return self.functions.register_source(
            source, function_name, description=description, metadata=metadata, public=public, group=group
        )

    def get_function(self, function_id: Id) -> dict[str, Any]:
        """What is known of a function: name, description, metadata, source and so on."""
        return self.functions.get(function_id)

    def get_functions(self, role: str | None = None) -> list[dict[str, Any]]:
        """The functions you may run; with role "owner" only your own."""
        return self.functions.all(role)

    def search_function(self, text: str, offset: int = 0, limit: int = 10) -> list[dict[str, Any]]:
        """Functions you may run whose name or description hold ``text``."""
        return self.functions.search(text, offset, limit)

    def delete_function(self, function_id: Id) -> None:
        """Delete a function; tasks submitted before still run."""
        self.functions.delete(function_id)

    def share_function(self, function_id: Id, *, user: str | None = None, group: str | None = None) -> None:
        """Let a user or a group run a function."""
        self.shares.add("functions", as_id(function_id, "function_id"), user, group)

    def unshare_function(self, function_id: Id, *, user: str | None = None, group: str | None = None) -> None:
        """Take that back."""
        self.shares.remove("functions", as_id(function_id, "function_id"), user, group)


def _check_kinds(description: object, metadata: object, public: object, group: object) -> None:
    """Who counts arguments as older versions have them would make a function public by its description.

    Raises:
        InvalidRequest: one is of another kind.
    """
    for name, given, kinds in (
        ("description", description, (str, NoneType)),
        ("metadata", metadata, (Mapping, NoneType)),
        ("public", public, bool),
        ("group", group, (str, NoneType)),
    ):
        if not isinstance(given, kinds):
            raise InvalidRequest(
                f"{name} of a function cannot be {str(given)[:80]!r}: give it, and what else there is to "
                "say of the function, by keyword."
            )
