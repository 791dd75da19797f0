"""The functions a worker has been given: checked against their hash, loaded when first called, kept."""

import hashlib
from collections.abc import Callable
from typing import Any

from funcledger_endpoint.local import frames
from funcledger_payloads import DeserializationError, load_function


class Functions:
    """Functions by the agent's number; a number given again means the new one."""

    def __init__(self) -> None:
        self._loaded: dict[int, Callable[..., Any]] = {}
        self._bodies: dict[int, frames.Function] = {}

    @staticmethod
    def warm_up() -> None:
        """Import what loading the first function will need, while there is nothing to do."""
        from funcledger_payloads import by_value  # noqa: F401  # slow, so not before the worker says it is ready

    def add(self, function: frames.Function) -> None:
        """Take note of a body, in place of the one that had its number; it is opened by the first call."""
        self._loaded.pop(function.number, None)
        self._bodies[function.number] = function

    def get(self, number: int) -> Callable[..., Any]:
        """The function, ready to be called.

        Raises:
            DeserializationError, VersionMismatch: it cannot be loaded, or is not what its hash says.
        """
        function = self._loaded.get(number)
        if function is None:
            function = self._loaded[number] = _load(self._bodies[number])
            del self._bodies[number]
        return function


def _load(body: frames.Function) -> Callable[..., Any]:
    found = hashlib.sha256(body.payload).hexdigest()
    if found != body.content_hash:
        raise DeserializationError(f"the function's body has SHA-256 {found}, not {body.content_hash}")
    return load_function(body.payload)
