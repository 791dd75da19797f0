"""The worker's own standard streams, which say before the first words of a call which call it is."""

import io
import os
import stat
import sys
from collections.abc import Callable
from typing import Any, TextIO, cast

from funcledger_endpoint.local.output import MARK

_NAMES = ("stdin", "stdout", "stderr")


class _Marked(io.FileIO):
    """A descriptor whose writes are preceded by the number of the call, where that is another than before."""

    #: The call that was named last, on either stream: both are one pipe.
    named = 0

    def __init__(self, descriptor: int, call: Callable[[], int]) -> None:
        super().__init__(descriptor, "wb", closefd=False)
        self._call = call

    def write(self, data: Any, /) -> int:
        number = self._call()
        if number != _Marked.named:
            _Marked.named = number
            os.write(self.fileno(), MARK % number)
        return super().write(data)


def _never() -> int:
    return 0


#: Tells the number of the call that the process is at.
_call = _never


def mark_output(call: Callable[[], int]) -> None:
    """Have what functions print stand in the log at once, also when the worker dies, and beside its call.

    Where it goes by no pipe, nobody reads such marks, and there are none.
    """
    global _call
    if stat.S_ISFIFO(os.fstat(1).st_mode):
        _call = call
    for descriptor, name in ((1, "stdout"), (2, "stderr")):
        stream = standard_stream(descriptor, getattr(sys, name).encoding)
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)


def standard_stream(descriptor: int, encoding: str) -> TextIO:
    """A new stream in place of standard input, output or errors (0, 1, 2)."""
    raw: Any = _Marked(descriptor, _call) if descriptor else io.FileIO(descriptor, "rb", closefd=False)
    raw.name = f"<{_NAMES[descriptor]}>"  # as Python names its own
    if not descriptor:
        stream: Any = io.TextIOWrapper(io.BufferedReader(raw), encoding=encoding)
        stream.mode = "r"  # as Python's own has it
        return cast("TextIO", stream)
    return io.TextIOWrapper(
        io.BufferedWriter(raw), encoding=encoding, errors="backslashreplace", line_buffering=True
    )
