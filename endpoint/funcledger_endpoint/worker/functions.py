"""The functions a worker has been given: checked against their hash, opened when they are called.

A function is opened once and kept if its code has no means of changing what it refers to, and only while
nothing was added to its globals and attributes. Any other is opened for each call, so that a call meets
what stood in the program when it was submitted, and not what an earlier call has left (law 13).
"""

import hashlib
import re
from collections.abc import Callable
from typing import Any, NamedTuple

from funcledger_endpoint.local import frames
from funcledger_payloads import DeserializationError, open_function
from funcledger_payloads.classes import begin_next_call


class _Kept(NamedTuple):
    """A function that is open, its globals and its attributes, and how many there were of both."""

    call: Callable[..., Any]
    there: dict[str, Any]
    own: dict[str, Any]
    size: int


def _kept(call: Callable[..., Any]) -> _Kept:
    there: dict[str, Any] = getattr(getattr(call, "__wrapped__", call), "__globals__", {})
    own: dict[str, Any] = getattr(call, "__dict__", {})
    return _Kept(call, there, own, len(there) + len(own))


#: Words without which hardly any function can change what `ImportState` looks at closely.
_MEDDLES = re.compile(rb"(?<![A-Za-z_])(?:modules|pickle|json|setattr|patch|mock|math|random)")


class Functions:
    """Functions by the agent's number; a number given again means the new one."""

    def __init__(self) -> None:
        #: Whether the function of this call may change modules, so that one has to look closely after it.
        self.meddles = False
        self._meddling: set[int] = set()
        self._kept: dict[int, _Kept] = {}
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
        begin_next_call()
        self.meddles = number in self._meddling
        kept = self._kept.get(number)
        if kept is not None:
            call, there, own, size = kept
            if len(there) + len(own) == size:
                return call
            del self._kept[number]
        body = self._bodies[number]
        if number in self._unchecked:
            _check(body, self._unchecked[number])
            del self._unchecked[number]
        opened = open_function(body)
        if not opened.stateful:
            self._kept[number] = _kept(opened.call)
        return opened.call

    def brought_along(self, body: bytes) -> Callable[..., Any]:
        """The function that came with a call, ready to be called.

        Raises:
            DeserializationError, VersionMismatch: it cannot be loaded.
        """
        begin_next_call()
        self.meddles = _may_meddle(body)
        return open_function(body).call


def _may_meddle(body: bytes) -> bool:
    """By the names that its code and its source hold."""
    return _MEDDLES.search(body) is not None


def _check(body: bytes, content_hash: str) -> None:
    found = hashlib.sha256(body).hexdigest()
    if found != content_hash:
        raise DeserializationError(f"the function's body has SHA-256 {found}, not {content_hash}")
