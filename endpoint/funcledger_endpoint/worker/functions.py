"""The functions a worker has been given: checked against their hash, opened when they are called.

A function that no call can change is opened once and kept. Any other is opened for each call, so that a call
meets what stood in the program when it was submitted, and not what an earlier call has left (law 13).
"""

import hashlib
import re
from collections.abc import Callable
from typing import Any

from funcledger_endpoint.local import frames
from funcledger_payloads import DeserializationError, open_function
from funcledger_payloads.classes import CallClasses, begin_call

#: Words without which hardly any function can change what `ImportState` looks at closely.
_MEDDLES = re.compile(rb"(?<![A-Za-z_])(?:modules|pickle|json|setattr|patch|mock|math|random)")


class Functions:
    """Functions by the agent's number; a number given again means the new one."""

    def __init__(self) -> None:
        #: Whether the function of this call may change modules, so that one has to look closely after it.
        self.meddles = False
        self._meddling: set[int] = set()
        self._kept: dict[int, Callable[..., Any]] = {}
        self._bodies: dict[int, bytes] = {}
        self._unchecked: dict[int, str] = {}

    @staticmethod
    def warm_up() -> None:
        """Import what the first function will need, pools of its own too, while there is nothing to do."""
        from funcledger_payloads.pools import carry_code  # slow, so not before the worker says it is ready

        carry_code()

    def add(self, function: frames.Function) -> None:
        """Take note of a body, in place of the one that had its number; it is opened by the first call."""
        self._kept.pop(function.number, None)
        self._bodies[function.number] = function.payload
        self._unchecked[function.number] = function.content_hash
        self._meddling.discard(function.number)
        if _may_meddle(function.payload):
            self._meddling.add(function.number)

    def get(self, number: int) -> Callable[..., Any]:
        """The function, ready to be called; its classes are those of the call that begins.

        Raises:
            DeserializationError, VersionMismatch: it cannot be loaded, or is not what its hash says.
        """
        begin_call(CallClasses())
        self.meddles = number in self._meddling
        function = self._kept.get(number)
        if function is not None:
            return function
        body = self._bodies[number]
        if number in self._unchecked:
            _check(body, self._unchecked[number])
            del self._unchecked[number]
        opened = open_function(body)
        if not opened.stateful:
            self._kept[number] = opened.call
            del self._bodies[number]
        return opened.call

    def brought_along(self, body: bytes) -> Callable[..., Any]:
        """The function that came with a call, ready to be called.

        Raises:
            DeserializationError, VersionMismatch: it cannot be loaded.
        """
        begin_call(CallClasses())
        self.meddles = _may_meddle(body)
        return open_function(body).call


def _may_meddle(body: bytes) -> bool:
    """By the names that its code and its source hold."""
    return _MEDDLES.search(body) is not None


def _check(body: bytes, content_hash: str) -> None:
    found = hashlib.sha256(body).hexdigest()
    if found != content_hash:
        raise DeserializationError(f"the function's body has SHA-256 {found}, not {content_hash}")
