"""Fatal errors of the Kafka client library, provoked in the library itself."""

import ctypes
import threading
from typing import Any

from confluent_kafka import KafkaError, Producer, cimpl

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
    """Builds real producers, keeps them at hand, and can hold the next one back."""

    def __init__(self) -> None:
        self.built: list[Producer] = []
        self.may_build = threading.Event()
        self.may_build.set()

    def __call__(self, settings: dict[str, Any]) -> Producer:
        assert self.may_build.wait(20)
        self.built.append(Producer(settings))
        return self.built[-1]
