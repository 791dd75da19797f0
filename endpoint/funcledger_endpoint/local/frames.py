"""What agent and worker say to each other over their pipes: a delimited message is a kind, fields and bytes.

The agent never unpickles: what comes from a worker is fixed-width fields, text and opaque bytes.
"""

import math
import struct
from struct import Struct
from typing import NamedTuple

from funcledger_endpoint.report import Report

CALL, FUNCTION = 1, 2
READY, REPORT, SKIPPED = 1, 2, 3
#: It ends once it has reported the call it is at, since that has left behind what cannot be put back.
LEAVING = 4

#: Most one message may take: a payload at its limit, texts, and room to spare.
MESSAGE_LIMIT = 16 * 1024 * 1024

_CALL = Struct(">IBQIQB")
_FUNCTION = Struct(">IBI")
_NUMBER = Struct(">IBQ")
_REPORT = Struct(">IBQddQBBHHIBI")
_LENGTH = 4


class BadMessage(ValueError):
    """Raised when a message cannot be read."""


class Call(NamedTuple):
    """A call to make. Numbers rise by one per worker; ``memory`` is the call's own limit in bytes, or 0."""

    number: int
    function: int
    memory: int
    payload_format: str
    payload: bytes


class Function(NamedTuple):
    """A function's body under the number by which calls name it, and the SHA-256 it must have."""

    number: int
    content_hash: str
    payload: bytes


def pack_call(number: int, function: int, memory: int, payload_format: str, payload: bytes) -> bytes:
    """A call, as the agent sends it."""
    name = payload_format.encode()
    size = _CALL.size - _LENGTH + len(name) + len(payload)
    return b"".join((_CALL.pack(size, CALL, number, function, memory, len(name)), name, payload))


def pack_function(number: int, content_hash: str, payload: bytes) -> bytes:
    """A function, as the agent sends it before the first call that names it."""
    digest = bytes.fromhex(content_hash)
    size = _FUNCTION.size - _LENGTH + len(digest) + len(payload)
    return b"".join((_FUNCTION.pack(size, FUNCTION, number), digest, payload))


def pack_number(kind: int, number: int = 0) -> bytes:
    """A message that is no more than a number: READY, LEAVING, or SKIPPED a call."""
    return _NUMBER.pack(_NUMBER.size - _LENGTH, kind, number)


def pack_report(number: int, report: Report) -> bytes:
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
        report.run_time,
        report.cpu_time,
        report.peak_memory,
        *map(len, texts),
        len(report.payload),
    )
    return b"".join((head, *texts, report.payload))


_CALL_BODY = Struct(">BQIQB")
_REPORT_BODY = Struct(">BQddQBBHHIBI")


def read_call(message: bytes) -> Call:
    """The call in this message, its length already taken off."""
    _, number, function, memory, length = _CALL_BODY.unpack_from(message)
    start = _CALL_BODY.size
    return Call(number, function, memory, message[start : start + length].decode(), message[start + length :])


def read_function(message: bytes) -> Function:
    """The function in this message."""
    return Function(int.from_bytes(message[1:5], "big"), message[5:37].hex(), message[37:])


def read_number(message: bytes) -> int:
    """The number in this message.

    Raises:
        BadMessage: it is not what a worker of ours writes.
    """
    if len(message) != _NUMBER.size - _LENGTH:
        raise BadMessage(f"a number in a message of {len(message)} bytes")
    return int.from_bytes(message[1:9], "big")


def read_report(message: bytes) -> tuple[int, Report]:
    """The number of the call, and what became of it.

    Raises:
        BadMessage: it is not what a worker of ours writes.
    """
    try:
        _, number, run_time, cpu_time, peak, *sizes = _REPORT_BODY.unpack_from(message)
        at = _REPORT_BODY.size
        if at + sum(sizes) != len(message):
            raise BadMessage(f"a report of {len(message)} bytes says it has {at + sum(sizes)}")
        texts = []
        for size in sizes[:-1]:
            texts.append(message[at : at + size].decode(errors="replace"))
            at += size
    except struct.error as error:
        raise BadMessage(f"a report of {len(message)} bytes is cut short") from error
    if not (math.isfinite(run_time) and math.isfinite(cpu_time)):
        raise BadMessage(f"a report of a call that took {run_time} s")
    kind, payload_format, error_type, text, traceback, code = texts
    times = (run_time, cpu_time, peak)
    return number, Report(kind, payload_format, message[at:], *times, error_type, text, traceback, code)
