"""What Kafka clients do not get over by themselves: fatal errors, provoked in the library, and being lost."""

import ctypes
import threading
from collections.abc import Callable
from typing import Any, TypeVar

from confluent_kafka import KafkaError, Producer, cimpl
from tests.support.deadlines import scaled

from funcledger_compose.native.process import free_port

T = TypeVar("T")

#: Where CPython's object header ends; the library's own handle is the first field after it.
_HANDLE = object.__basicsize__


def fail_for_good(producer: Producer) -> None:
    """Put this producer into the state that a fenced or confused one is in."""
    library = ctypes.CDLL(cimpl.__file__)
    provoke = library.rd_kafka_test_fatal_error
    provoke.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_char_p]
    handle = ctypes.c_void_p.from_address(id(producer) + _HANDLE)
    assert provoke(handle, KafkaError.OUT_OF_ORDER_SEQUENCE_NUMBER, b"provoked by a test") == 0


class Builder:
    """Builds real producers, keeps them, and can hold the next one back or give it ``further`` settings."""

    def __init__(self) -> None:
        self.built: list[Producer] = []
        self.may_build = threading.Event()
        self.may_build.set()
        self.further: dict[str, str] = {}

    def __call__(self, settings: dict[str, Any]) -> Producer:
        assert self.may_build.wait(scaled(20))
        self.built.append(Producer(settings | self.further))
        return self.built[-1]


def astray(build: Callable[[dict[str, Any]], T]) -> Callable[[dict[str, Any]], T]:
    """Of the clients that it builds the first never finds the cluster, like one that has lost it."""
    wrong = iter([{"bootstrap.servers": f"127.0.0.1:{free_port()}"}])
    return lambda settings: build(settings | next(wrong, {}))
