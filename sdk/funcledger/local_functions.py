"""The functions of this program that an executor was given, each registered once.

What runs is what stands in the program when a call is submitted (law 13), so every call looks at what its
function refers to. Where only data has changed, a global or a variable from outside, the call brings the
function as it is now and no other is registered; where code has changed, another is.
"""

from collections import OrderedDict
from collections.abc import Callable, Hashable
from threading import RLock
from typing import Any

from funcledger.forks import renewed_in_children
from funcledger.functions import description_of, serialise_function
from funcledger_payloads import FunctionPayload
from funcledger_schemas.ids import new_id

#: A form of a function that takes more bytes is registered when it comes again, and not sent each time.
_LARGE = 16 * 1024
#: Most forms remembered for that.
_MOST_SEEN = 1000
#: Most functions whose last form is kept at hand, with what they refer to.
_MOST_KNOWN = 64


class LocalFunction:
    """A function of this program, registered when a call of it is first sent."""

    def __init__(self, payload: FunctionPayload, description: str | None) -> None:
        self.function_id = new_id()
        self.description = description
        #: None once it is registered.
        self.payload: FunctionPayload | None = payload


class _Known:
    """What a call of ``fn`` becomes, for as long as ``holds`` says that nothing has changed."""

    __slots__ = ("fn", "form", "function", "holds")

    def __init__(
        self, fn: Callable[..., Any], holds: Callable[[], bool], function: LocalFunction, form: bytes | None
    ) -> None:
        self.fn, self.holds, self.function, self.form = fn, holds, function, form


class LocalFunctions:
    """The functions of this program that were submitted."""

    def __init__(self, serializer: str | None = None) -> None:
        self._serializer = serializer
        self._by_object: OrderedDict[int, _Known] = OrderedDict()
        self._by_content: dict[str, LocalFunction] = {}
        self._by_definition: dict[Hashable, LocalFunction] = {}
        self._seen_large: dict[str, None] = {}
        self.renew()
        renewed_in_children(self)
        #: The function that is likely to come again, found without a look-up.
        self._last: _Known | None = None

    def renew(self) -> None:
        """In a forked child: the lock may be held by a thread that is not there."""
        # By the same thread again: to write a function may import a module, which may submit another.
        self._lock = RLock()

    def of(self, fn: Callable[..., Any]) -> tuple[LocalFunction, bytes | None]:
        """The function under the id it has or gets on the server; and its form now, where that is another.

        Raises:
            SerializationError, FunctionTooLarge: it cannot be sent.
        """
        known = self._last
        if known is None or fn is not known.fn or not known.holds():
            with self._lock:
                known = self._last = self._look(fn)
        return known.function, known.form

    def _look(self, fn: Callable[..., Any]) -> _Known:
        from funcledger_payloads.fingerprint import fingerprint_of
        from funcledger_payloads.functions import is_fixed

        known = self._by_object.get(id(fn))
        if known is None or known.fn is not fn or not known.holds():
            # The fingerprint first: what changes while the function is written is seen by the next call.
            fingerprint = None if is_fixed(fn) else fingerprint_of(fn)
            function, form = self._place(serialise_function(fn, self._serializer), fn)
            holds = fingerprint.holds if fingerprint else _always if is_fixed(fn) else _never
            known = self._by_object[id(fn)] = _Known(fn, holds, function, form)
            if len(self._by_object) > _MOST_KNOWN:
                self._by_object.popitem(last=False)
        self._by_object.move_to_end(id(fn))
        return known

    def _place(self, payload: FunctionPayload, fn: Callable[..., Any]) -> tuple[LocalFunction, bytes | None]:
        """Where it is registered, and what a call must bring along."""
        known = self._by_content.get(payload.sha256)
        if known is not None:
            return known, None
        known = self._by_definition.get(payload.definition)
        if known is not None and not self._comes_again(payload):
            return known, payload.bytes
        made = LocalFunction(payload, description_of(fn))
        self._by_content[payload.sha256] = made
        self._by_definition.setdefault(payload.definition, made)
        return made, None

    def _comes_again(self, payload: FunctionPayload) -> bool:
        """Whether this form is large and was sent before: then it is cheaper to register it."""
        if len(payload.bytes) <= _LARGE:
            return False
        if payload.sha256 in self._seen_large:
            return True
        if len(self._seen_large) >= _MOST_SEEN:
            del self._seen_large[next(iter(self._seen_large))]
        self._seen_large[payload.sha256] = None
        return False


def _always() -> bool:
    return True


def _never() -> bool:
    return False
