"""What must not travel, and how it is said: which variable, what it is, what to do.

Opened elsewhere these would do harm (a file opened for writing is emptied, a lock that is held stays held for
ever) or mean nothing, so no serialiser gets to see them.
"""

import io
import sys
import threading
import weakref
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Executor, Future
from functools import partial
from types import (
    AsyncGeneratorType,
    CoroutineType,
    FrameType,
    FunctionType,
    GeneratorType,
    MethodType,
    ModuleType,
    TracebackType,
)
from typing import Any

from funcledger_payloads.errors import SerializationError

_DEPTH = 8
_BREADTH = 1000
_FILES = (
    io.TextIOWrapper, io.BufferedReader, io.BufferedWriter, io.BufferedRandom, io.BufferedRWPair, io.FileIO,
)  # fmt: skip
_LOCKS = (
    type(threading.Lock()), type(threading.RLock()), threading._RLock, threading.Condition, threading.Event,
    threading.Semaphore, threading.Barrier,
)  # fmt: skip
_KINDS: tuple[tuple[tuple[type, ...], tuple[str, str]], ...] = (
    (_FILES, ("an open file", "send its path and open it inside the function")),
    (_LOCKS, ("a lock, which holds within one process alone", "make it inside the function")),
    ((threading.Thread,), ("a thread", "start it inside the function")),
    ((threading.local,), ("data of one thread", "make it inside the function")),
    ((GeneratorType, AsyncGeneratorType), ("a generator, which cannot be copied", "use a list of its items")),
    ((CoroutineType,), ("a coroutine that has begun", "use the async function: it is run to its end")),
    ((FrameType, TracebackType), ("a running frame", "use its text, as traceback.format_exc() gives it")),
    ((Future,), ("a future", "use its result()")),
    ((Executor,), ("an executor with its threads or processes", "make it inside the function")),
    ((memoryview,), ("a view of memory, which its owner may change", "send a copy of it: bytes(view)")),
    ((weakref.finalize,), ("a clean-up for the end of this process", "make it inside the function")),
)
#: Of modules that take a while to import, which whoever has such an object has done already.
_NAMED = {
    ("socket", "socket"): ("an open connection", "connect inside the function"),
    ("subprocess", "Popen"): ("a running process", "start it inside the function"),
    ("sqlite3", "Connection"): (
        "a connection to a database",
        "send its path and connect inside the function",
    ),
    ("sqlite3", "Cursor"): ("a database's cursor", "send the rows: fetchall()"),
    ("_ssl", "_SSLContext"): ("settings and keys of connections", "make it inside the function"),
    ("mmap", "mmap"): ("a file in memory", "send its path and map it inside the function"),
    ("_contextvars", "ContextVar"): ("a variable of this process alone", "send its value: get()"),
    ("_contextvars", "Context"): ("variables of this process alone", "send their values"),
    ("re", "Match"): ("a match, which cannot be copied", "send what was found: group(), groups() or span()"),
    ("ctypes", "CDLL"): ("a loaded library", "send its name and load it inside the function"),
}
_known: dict[type, tuple[str, str] | None] = {}


class Refused(SerializationError):
    """It must not travel; trying another serialiser would be wrong."""


def is_refused(value: Any) -> bool:
    """Whether this, by itself, must not travel."""
    return _verdict(type(value)) is not None and value is not sys.stdout and value is not sys.stderr


def refuse(value: Any) -> None:
    """Nothing, or say why this must not travel.

    Raises:
        Refused: what it is and what to do.
    """
    kind = type(value)
    verdict = _known[kind] if kind in _known else _verdict(kind)
    if verdict is not None and value is not sys.stdout and value is not sys.stderr:
        what, advice = verdict
        raise Refused(f"it is {what} ({kind.__module__}.{kind.__qualname__}): {advice}")


def refuse_kind(kind: type) -> None:
    """Nothing, or say why a class that would travel by value must not.

    Raises:
        Refused: what it is and what to do.
    """
    if type(kind).__module__ == "_ctypes":
        raise Refused(
            f"{kind.__qualname__} is a type of C data that this program has made: make it inside the "
            "function, and send what it holds as bytes, a list or an array"
        )


def _verdict(kind: type) -> tuple[str, str] | None:
    if kind not in _known:
        if len(_known) > _BREADTH:
            _known.clear()
        _known[kind] = next((said for kinds, said in _KINDS if issubclass(kind, kinds)), _by_name(kind))
    return _known[kind]


def _by_name(kind: type) -> tuple[str, str] | None:
    names = ((each.__module__, each.__qualname__) for each in kind.__mro__)
    return next((_NAMED[name] for name in names if name in _NAMED), None)


#: Tries to write a value; raises what is wrong with it.
Attempt = Callable[[Any], object]


def where_it_fails(value: Any, error: BaseException, attempt: Attempt) -> tuple[str, BaseException]:
    """The path to the smallest part that fails, as " -> global 'x' -> .attribute", and how that fails."""
    path = ""
    seen = {id(value)}
    for _ in range(_DEPTH):
        if is_refused(value):
            break
        for step, part in _parts(value):
            if id(part) in seen:
                continue
            inner = _error_of(part, attempt)
            if inner is not None:
                seen.add(id(part))
                path, value, error = path + step, part, inner
                break
        else:
            break
    return path, error


def _error_of(value: Any, attempt: Attempt) -> BaseException | None:
    try:
        attempt(value)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # a user's __reduce__ may raise SystemExit, too
        return error
    return None


def _parts(value: Any) -> Iterator[tuple[str, Any]]:
    """What a value is made of, each with the step that leads to it."""
    if isinstance(value, FunctionType):
        yield from _of_function(value)
    elif isinstance(value, MethodType):
        yield ", of its object", value.__self__
        yield ", of its function", value.__func__
    elif isinstance(value, partial):
        yield ", of the function it calls", value.func
        yield from ((f", argument {index}", part) for index, part in enumerate(value.args, 1))
        yield from ((f", argument {name!r}", part) for name, part in value.keywords.items())
    elif isinstance(value, type | ModuleType):
        yield from ((f".{name}", part) for name, part in dict(vars(value)).items())
    elif isinstance(value, Mapping) and len(value) <= _BREADTH:
        yield from ((f"[{key!r}]", part) for key, part in value.items())
    elif isinstance(value, list | tuple) and len(value) <= _BREADTH:
        yield from ((f"[{index}]", part) for index, part in enumerate(value))
    else:
        yield from ((f".{name}", part) for name, part in dict(getattr(value, "__dict__", {})).items())
        if not isinstance(value, Exception | type(None)) and _is_of_the_user(type(value)):
            yield f" (its class {type(value).__qualname__})", type(value)


def _is_of_the_user(kind: type) -> bool:
    from funcledger_payloads.installed import has_a_name

    return kind.__module__ != "builtins" and not has_a_name(kind)


def _of_function(function: FunctionType) -> Iterator[tuple[str, Any]]:
    from funcledger_payloads.references import references_of

    if isinstance(wrapped := vars(function).get("__wrapped__"), FunctionType):
        yield ", of what it wraps", wrapped
    about = references_of(function.__code__)
    for name in about.names:
        part = function.__globals__.get(name)
        if isinstance(part, ModuleType):
            used = sorted(about.attributes & vars(part).keys())
            yield from ((f", its global {name!r}.{inner}", vars(part)[inner]) for inner in used)
        else:
            yield f", its global {name!r}", part
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        try:
            yield f", its variable {name!r} from outside", cell.cell_contents
        except ValueError:  # not set yet
            continue
    for part in function.__defaults__ or ():
        yield ", a default of its", part
    for name, part in (function.__kwdefaults__ or {}).items():
        yield f", its default of {name!r}", part
    yield from ((f".{name}", part) for name, part in vars(function).items())
