"""The functions that a worker has been given, each by a number."""

from collections import OrderedDict

from funcledger_endpoint.local import frames

#: Functions a worker keeps; the one called longest ago is forgotten first.
_KEPT = 256


class Given:
    """What the worker has, as its agent counts it."""

    def __init__(self) -> None:
        self._numbers: OrderedDict[str, int] = OrderedDict()

    def clear(self) -> None:
        """The worker is a new one, and has none."""
        self._numbers.clear()

    def call(self, content_hash: str) -> int | None:
        """The number of a function that is about to be called; None when the worker does not have it."""
        number = self._numbers.get(content_hash)
        if number is not None:
            self._numbers.move_to_end(content_hash)
        return number

    def give(self, content_hash: str, body: bytes) -> tuple[int, bytes]:
        """A number for a function, and the frame that gives it to the worker."""
        number = len(self._numbers) + 1
        if number > _KEPT:
            # The new one takes the forgotten one's number.
            _, number = self._numbers.popitem(last=False)
        self._numbers[content_hash] = number
        return number, frames.pack_function(number, content_hash, body)
