"""Functions on the server: register, read, search, share, delete."""

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from funcledger.errors import FunctionTooLarge
from funcledger.names import Id, as_id
from funcledger_payloads.functions import FORMAT, FunctionPayload, dump_function, dump_source, read_head
from funcledger_schemas.frames import pack
from funcledger_schemas.ids import new_id
from funcledger_schemas.limits import PAYLOAD_LIMIT

#: Functions of one answer; a server gives no more.
_PAGE = 1000

if TYPE_CHECKING:
    from funcledger.transport import Transport


def serialise_function(function: Callable[..., Any], serializer: str | None = None) -> FunctionPayload:
    """The function as it travels, written by "cloudpickle" or "dill"; None takes what can.

    Raises:
        SerializationError: naming what cannot be carried.
        FunctionTooLarge: with both numbers.
    """
    return checked(dump_function(function, serializer))


def checked(function: FunctionPayload) -> FunctionPayload:
    """The function, if it is within the limit.

    Raises:
        FunctionTooLarge: with both numbers.
    """
    if len(function.bytes) > PAYLOAD_LIMIT:
        raise FunctionTooLarge(
            f"The function {function.name} takes {len(function.bytes):,} bytes with everything it refers to, "
            f"the limit is {PAYLOAD_LIMIT:,}. Read big data inside it instead."
        )
    return function


class Functions:
    """The functions that this user may run."""

    def __init__(self, transport: "Transport") -> None:
        self._transport = transport

    def register(self, function: FunctionPayload, function_id: str | None = None, **about: Any) -> str:
        """Store a function; ``about``: name, description, metadata, public, group. Its id."""
        chosen = function_id or new_id()
        head = {
            "function_id": chosen,
            "name": function.name,
            "public": False,
            "python_version": function.python,
            "dill_version": function.dill,
            "payload_format": FORMAT,
            "size": len(function.bytes),
            **{name: value for name, value in about.items() if value is not None},
        }
        if "payload_code" in self._transport.task_fields():
            head["payload_code"] = function.code
        else:  # an older server, which takes no empty version
            head["dill_version"] = function.dill or "none"
        answer = self._transport.request("POST", "/v1/functions", frame=pack(head, [function.bytes]))
        self._transport.seen.merge(answer.json().get("position"))
        return chosen

    def register_source(self, source: str, name: str, **about: Any) -> str:
        """Store a function given as source alone. Its id."""
        return self.register(checked(dump_source(source, name)), **about)

    def get(self, function_id: Id) -> dict[str, Any]:
        """What was said of a function when it was registered, with its ``source`` where there is one."""
        path = f"/v1/functions/{as_id(function_id, 'function_id')}"
        about: dict[str, Any] = self._transport.get(path)
        head, _ = read_head(self._transport.request("GET", f"{path}/body").content)
        return {**about, "source": head.get("source"), "python_version": head["python"]}

    def all(self, role: str | None, most: int = sys.maxsize) -> list[dict[str, Any]]:
        """The newest functions that this user may see; with role "owner" only his own."""
        page = min(most, _PAGE)
        return self._transport.pages("/v1/functions", "functions", most, role=role, limit=page)

    def search(self, text: str, offset: int, limit: int) -> list[dict[str, Any]]:
        """Functions this user may see whose name or description hold ``text``; ``offset`` are left out."""
        page, most = min(offset + limit, _PAGE), offset + limit
        return self._transport.pages("/v1/functions", "functions", most, search=text, limit=page)[offset:]

    def delete(self, function_id: Id) -> None:
        """Delete a function; what was submitted before keeps running."""
        self._transport.request("DELETE", f"/v1/functions/{as_id(function_id, 'function_id')}")


def description_of(function: Callable[..., Any]) -> str | None:
    """A function's docstring, where it has its own."""
    import inspect  # only where a function is registered

    return inspect.getdoc(function) if isinstance(getattr(function, "__doc__", None), str) else None
