"""What agent and worker say to each other over their pipes: a delimited message is a kind, fields and bytes.

The agent never unpickles: what comes from a worker is fixed-width fields, text and opaque bytes. Each call
comes with a key that nobody can guess, and all that is said of it with the same key (law 14): what a task
writes into the pipe, or what is said late of an earlier call, is about no other.
"""

import math
import os
import struct
from collections.abc import Iterator
from functools import lru_cache
from struct import Struct
from typing import NamedTuple

from funcledger_endpoint.report import Report

CALL, FUNCTION = 1, 2
READY, REPORT, SKIPPED = 1, 2, 3
#: It ends once it has reported the call it is at, since that has left behind what cannot be put back.
LEAVING = 4

#: Codes with which a worker ends that can say no more.
DESCRIPTORS_CLOSED, UNSOUND = 81, 82

#: Texts shorter than this are kept, for the next report that says the same.
_SHORT = 64
#: Most one message may take: a payload at its limit, texts, and room to spare.
MESSAGE_LIMIT = 16 * 1024 * 1024

#: Bytes of a call's key.
KEY_SIZE = 8
_CALL = Struct(">IBQQIQB")
_FUNCTION = Struct(">IBI")
_NUMBER = Struct(">IBQQ")
_REPORT = Struct(">IBQQddQBBHHIBI")
_LENGTH = 4
#: Keys that are made at once.
_KEYS = 64


class BadMessage(ValueError):
    """Raised when a message cannot be read."""


class Call(NamedTuple):
    """A call to make. Numbers rise by one per worker; ``memory`` is the call's own limit in bytes, or 0."""

    number: int
    key: int
    function: int
    memory: int
    payload_format: str
    payload: bytes


class Function(NamedTuple):
    """A function's body under the number by which calls name it, and the SHA-256 it must have."""

    number: int
    content_hash: str
    payload: bytes


def new_keys() -> Iterator[int]:
    """Keys for calls, without end; the system is asked for many at once, so that one takes 0.1 µs."""
    many = Struct(f">{_KEYS}Q")
    while True:
        yield from many.unpack(os.urandom(_KEYS * KEY_SIZE))


def pack_call(
    number: int, key: int, function: int, memory: int, payload_format: str, payload: bytes
) -> bytes:
    """A call, as the agent sends it."""
    name = payload_format.encode()
    size = _CALL.size - _LENGTH + len(name) + len(payload)
    return b"".join((_CALL.pack(size, CALL, number, key, function, memory, len(name)), name, payload))


def pack_function(number: int, content_hash: str, payload: bytes) -> bytes:
    """A function, as the agent sends it before the first call that names it."""
    digest = bytes.fromhex(content_hash)
    size = _FUNCTION.size - _LENGTH + len(digest) + len(payload)
    return b"".join((_FUNCTION.pack(size, FUNCTION, number), digest, payload))


def pack_number(kind: int, number: int = 0, key: int = 0) -> bytes:
    """A message that is no more than a call's number and key: READY (of none), LEAVING, or SKIPPED a call."""
    return _NUMBER.pack(_NUMBER.size - _LENGTH, kind, number, key)


def pack_report(number: int, key: int, report: Report) -> bytes:
    """What became of a call, as the worker sends it."""
    kind, name = report.kind.encode(), report.payload_format.encode()
    error_type = report.error_type.encode(errors="backslashreplace")[:1024]
    message = report.message.encode(errors="backslashreplace")[:0xFFFF]
    traceback = report.traceback.encode(errors="backslashreplace")
    texts = (kind, name, error_type, message, traceback, report.payload_code.encode()[:255])
    head = _REPORT.pack(
        _REPORT.size - _LENGTH + sum(map(len, texts)) + len(report.payload),
        REPORT,
        number,
        key,
        report.run_time,
        report.cpu_time,
        report.peak_memory,
        *map(len, texts),
        len(report.payload),
    )
    return b"".join((head, *texts, report.payload))


_CALL_BODY = Struct(">BQQIQB")
_REPORT_BODY = Struct(">BQQddQBBHHIBI")


def read_call(message: bytes) -> Call:
    """The call in this message, its length already taken off."""
    _, number, key, function, memory, length = _CALL_BODY.unpack_from(message)
    start = _CALL_BODY.size
    end = start + length
    return Call(number, key, function, memory, message[start:end].decode(), message[end:])


def read_function(message: bytes) -> Function:
    """The function in this message."""
    return Function(int.from_bytes(message[1:5], "big"), message[5:37].hex(), message[37:])


def read_number(message: bytes) -> tuple[int, int]:
    """The number and the key in this message.

    Raises:
        BadMessage: it is not what a worker of ours writes.
    """
    if len(message) != _NUMBER.size - _LENGTH:
        raise BadMessage(f"a number in a message of {len(message)} bytes")
    return int.from_bytes(message[1:9], "big"), int.from_bytes(message[9:], "big")


def _text(encoded: bytes) -> str:
    return _short_text(encoded) if len(encoded) < _SHORT else encoded.decode(errors="replace")


@lru_cache(256)
def _short_text(encoded: bytes) -> str:
    """Names of kinds and formats come with every report."""
    return encoded.decode(errors="replace")


def read_report(message: bytes) -> tuple[int, int, Report]:
    """The number of the call and its key, and what became of it.

    Raises:
        BadMessage: it is not what a worker of ours writes.
    """
    try:
        _, number, key, run_time, cpu_time, peak, *sizes = _REPORT_BODY.unpack_from(message)
        at = _REPORT_BODY.size
        if at + sum(sizes) != len(message):
            raise BadMessage(f"a report of {len(message)} bytes says it has {at + sum(sizes)}")
        texts = []
        for size in sizes[:-1]:
            texts.append(_text(message[at : at + size]) if size else "")
            at += size
    except struct.error as error:
        raise BadMessage(f"a report of {len(message)} bytes is cut short") from error
    if not (math.isfinite(run_time) and math.isfinite(cpu_time)):
        raise BadMessage(f"a report of a call that took {run_time} s")
    kind, payload_format, error_type, text, traceback, code = texts
    times = (run_time, cpu_time, peak)
    report = Report(kind, payload_format, message[at:], *times, error_type, text, traceback, code)
    return number, key, report
