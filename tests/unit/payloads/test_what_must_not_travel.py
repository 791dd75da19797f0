"""Files, locks and their like are refused by name before anything is sent, whatever holds them."""

import asyncio
import ctypes
import hashlib
import mmap
import re
import socket
import sqlite3
import ssl
import tempfile
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import ContextVar
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from tests.support import laboratory_helpers as helpers

from funcledger_payloads import SerializationError, dump, dump_arguments, dump_function

LOCK = threading.RLock()


class Store:
    """Holds a lock where many classes do."""

    _lock = threading.Lock()

    def read(self) -> int:
        with self._lock:
            return 1


class Session:
    def __init__(self) -> None:
        self.log: Any = None


def guarded() -> int:
    with LOCK:
        return 1


def uses_a_class_with_a_lock() -> int:
    return Store().read()


def through_the_module() -> Any:
    return helpers.guard


def yields() -> Iterator[int]:
    yield 1


async def yields_later() -> AsyncIterator[int]:
    yield 1


def with_a_default(lock: Any = LOCK) -> Any:
    return lock


@pytest.mark.parametrize(
    ("function", "named"),
    [
        (guarded, r"function guarded .*its global 'LOCK': it is a lock.*make it inside the function"),
        (uses_a_class_with_a_lock, r"its global 'Store'\._lock: it is a lock"),
        (helpers.guarded, r"its global 'guard': it is a lock"),
        (through_the_module, r"its global 'helpers'\.guard: it is a lock"),
        (with_a_default, r"a default of its: it is a lock"),
        (partial(print, file=LOCK), r"argument 'file': it is a lock"),
        (Store().read, r"_lock: it is a lock"),
        (yields, r"function yields yields, .* have it return a list"),
        (yields_later, r"have it return a list"),
    ],
)
def test_a_function_is_refused_with_the_name_of_what_it_uses(
    function: Callable[..., Any], named: str
) -> None:
    with pytest.raises(SerializationError, match=named):
        dump_function(function)


@pytest.mark.parametrize("serializer", [None, "cloudpickle", "dill"])
def test_an_open_file_stays_as_it_is(tmp_path: Path, serializer: str | None) -> None:
    """Opening it elsewhere, under its name and for writing, would empty it."""
    with (tmp_path / "results.csv").open("w") as out:
        out.write("42\n" * 1000)
        out.flush()

        def name_of_it() -> str:
            return str(out.name)

        with pytest.raises(SerializationError, match=r"an open file .*send its path"):
            dump_function(name_of_it, serializer)
        session = Session()
        session.log = {"to": [out]}
        with pytest.raises(SerializationError, match="an open file"):
            dump(session, serializer)
        with pytest.raises(SerializationError, match=r"argument 1 \(at \.log\['to'\]\[0\]\) .* an open file"):
            dump_arguments((session,), {})
    assert (tmp_path / "results.csv").stat().st_size == 3000


def _generator() -> Iterator[int]:
    yield 1


def _wrapped_file() -> Any:
    return tempfile.NamedTemporaryFile("w")


@pytest.mark.parametrize(
    ("make", "what"),
    [
        (threading.Lock, "a lock"),
        (threading.Condition, "a lock"),
        (threading.Event, "a lock"),
        (lambda: threading.Semaphore(2), "a lock"),
        (threading.local, "data of one thread"),
        (lambda: threading.Thread(target=print), "a thread"),
        (socket.socket, "an open connection .*connect inside"),
        (_generator, "a generator.*a list of its items"),
        (Future, r"a future .*use its result\(\)"),
        (_wrapped_file, "an open file"),
        (lambda: ThreadPoolExecutor(1), "an executor"),
        (lambda: memoryview(b"abc"), r"a view of memory.*bytes\(view\)"),
        (lambda: (ctypes.c_int * 3)(1, 2, 3), r"type of C data .* as bytes, a list or an array"),
        (lambda: ContextVar("x"), r"a variable of this process.*send its value"),
        (lambda: re.match("", ""), r"a match.*groups\(\)"),
        (lambda: ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), "keys of connections.*make it inside"),
        (lambda: mmap.mmap(-1, 10), "a file in memory.*map it inside"),
        (lambda: sqlite3.connect(":memory:"), "a connection to a database.*connect inside"),
        (hashlib.sha256, "HASH' object: make it inside the function, or send what it is made of"),
    ],
)
@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("serializer", [None, "dill"])
def test_a_value_is_refused_with_what_it_is(
    make: Callable[[], Any], what: str, serializer: str | None
) -> None:
    value = make()
    try:
        with pytest.raises(SerializationError, match=what):
            dump({"held": value}, serializer)
    finally:
        getattr(value, "close", lambda: None)()


class Exits:
    def __reduce__(self) -> Any:
        raise SystemExit(3)


@pytest.mark.fault(35)
def test_a_value_that_exits_while_it_is_written_is_refused_and_nothing_ends() -> None:
    with pytest.raises(SerializationError, match=r"argument 1 \(at \['x'\]\) .* SystemExit: 3"):
        dump_arguments(({"x": Exits()},), {})
    held = Exits()
    with pytest.raises(SerializationError, match=r"'held' from outside: SystemExit: 3"):
        dump_function(lambda: held)


def test_the_standard_streams_and_loggers_mean_those_of_the_worker() -> None:
    import logging
    import sys

    def speaks() -> Any:
        print("x", file=sys.stderr)
        return logging.getLogger("x"), sys.stdout

    assert dump_function(speaks).code is not None


def test_an_async_function_travels() -> None:
    async def fetch(x: int) -> int:
        await asyncio.sleep(0)
        return x + 1

    assert dump_function(fetch).code is not None
