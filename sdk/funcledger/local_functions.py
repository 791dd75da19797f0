"""The functions of this program that an executor was given: each is serialised and registered once."""

import types
from collections.abc import Callable
from threading import Lock
from typing import Any
from weakref import WeakKeyDictionary

from funcledger.functions import description_of, serialise_function
from funcledger_payloads import FunctionPayload
from funcledger_schemas.ids import new_id


class LocalFunction:
    """A function of this program, registered when a call of it is first sent."""

    def __init__(self, payload: FunctionPayload, description: str | None) -> None:
        self.function_id = new_id()
        self.description = description
        #: None once it is registered.
        self.payload: FunctionPayload | None = payload


class LocalFunctions:
    """The functions of this program that were submitted, so that each is serialised and sent once."""

    def __init__(self) -> None:
        self._by_object: WeakKeyDictionary[Callable[..., Any], LocalFunction] = WeakKeyDictionary()
        self._by_content: dict[str, LocalFunction] = {}
        self._lock = Lock()
        #: The function that is likely to come again, found without a look-up.
        self._last: tuple[Callable[..., Any] | None, LocalFunction | None] = (None, None)

    def of(self, fn: Callable[..., Any]) -> LocalFunction:
        """The function under the id it has or gets on the server."""
        last, known = self._last
        if fn is last and known is not None:
            return known
        # Only plain functions are themselves for ever; other callables may change between calls.
        plain = isinstance(fn, types.FunctionType)
        with self._lock:
            known = self._by_object.get(fn) if plain else None
            if known is None:
                payload = serialise_function(fn)
                known = self._by_content.setdefault(
                    payload.sha256, LocalFunction(payload, description_of(fn))
                )
            if plain:
                self._by_object[fn] = known
                self._last = (fn, known)
            return known
