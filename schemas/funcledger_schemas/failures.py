"""What the user's code said when a task failed, as one payload (``failure/1``), so that it can be erased."""

import hashlib
import json
from typing import Any

import msgspec

from funcledger_schemas.events import TaskFailed
from funcledger_schemas.limits import MESSAGE_LIMIT, NAME_LIMIT, TRACEBACK_LIMIT
from funcledger_schemas.texts import mended, shorten

#: The ``payload_format`` of a failure: length of a JSON head (4 bytes, big-endian), the head, the exception.
FORMAT = "failure/1"


class _Head(msgspec.Struct):
    """What is said in text; ``format`` is how the exception behind it is serialised, null for none."""

    message: str
    traceback: str | None = None
    format: str | None = None


def pack_failure(message: str, traceback: str | None, payload_format: str | None, payload: bytes) -> bytes:
    """The texts and the serialised exception as one payload."""
    said = {"message": message, "traceback": traceback, "format": payload_format}
    # Escaped, so that any text can be said, also one that no UTF-8 can.
    head = json.dumps(said, separators=(",", ":")).encode()
    return len(head).to_bytes(4, "big") + head + payload


def opened(event: TaskFailed) -> TaskFailed:
    """The failure with its texts in their own fields, and the exception alone as its payload.

    The event itself where it is one of those already, as all of version 1 are. Where the payload was erased,
    left out or makes no sense, the event says no more than that it failed, and carries no exception.
    """
    if event.payload_format != FORMAT:
        return event
    head, exception = _unpacked(event.payload)
    fields: dict[str, Any] = {
        "message": event.message or head.message,
        "traceback": head.traceback,
        "payload_format": head.format,
        "payload": exception,
        "payload_size": len(exception),
        "payload_sha256": hashlib.sha256(exception).hexdigest(),
    }
    return msgspec.structs.replace(event, **fields)


def _unpacked(payload: bytes) -> tuple[_Head, bytes]:
    end = 4 + int.from_bytes(payload[:4], "big")
    try:
        # Whoever wrote it: what stands in it goes into documents and answers, which are UTF-8 and bounded.
        head = msgspec.convert(mended(json.loads(payload[4:end])), _Head)
    except (ValueError, RecursionError):
        return _Head(""), b""
    head.message = shorten(head.message, MESSAGE_LIMIT)
    head.traceback = head.traceback and shorten(head.traceback, TRACEBACK_LIMIT)
    head.format = head.format and shorten(head.format, NAME_LIMIT)
    return head, payload[end:] if head.format else b""
