"""What a function gives in a forked child: with all objects, and no other thread."""

import os
import pickle
import signal
import warnings
from collections.abc import Callable
from typing import Any, TypeVar

from tests.support.poll import until_sync

T = TypeVar("T")


def in_child(function: Callable[[], T], timeout: float = 20.0) -> T:
    """Call it in a child, which ends then without the program's exit handlers; raises what it raises.

    Raises:
        AssertionError: the child has not ended after ``timeout`` seconds of a quick machine; it is killed.
    """
    return forked(function, timeout)()


def forked(function: Callable[[], T], timeout: float = 20.0) -> Callable[[], T]:
    """The same, without waiting: what is returned waits. The value takes less than a pipe holds, 64 KiB."""
    reading, writing = os.pipe()
    with warnings.catch_warnings(action="ignore", category=DeprecationWarning):
        child = os.fork()  # Python 3.12 warns where there are other threads, which is what this is about
    if child == 0:
        _answer(function, writing)
    os.close(writing)
    return lambda: _answer_of(child, reading, timeout)


def _answer(function: Callable[[], object], writing: int) -> None:
    """In the child."""
    try:
        answer: tuple[object, BaseException | None] = (function(), None)
    except BaseException as error:
        answer = (None, error)
    try:
        with os.fdopen(writing, "wb") as pipe:
            pickle.dump(answer, pipe)
    finally:
        os._exit(0)


def _answer_of(child: int, reading: int, timeout: float) -> Any:
    ended: list[int] = []

    def is_over() -> bool:
        ended.append(os.waitpid(child, os.WNOHANG)[0])
        return ended[-1] == child

    try:
        until_sync(is_over, timeout)
    finally:
        if ended[-1] != child:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
    with os.fdopen(reading, "rb") as pipe:
        value, error = pickle.load(pipe)
    if error is not None:
        raise error
    return value
