"""Frames of tasks and their payloads, as routes and streams send them."""

from collections.abc import Sequence
from typing import Any

import msgspec

from funcledger_query_api.seen import Seen
from funcledger_query_api.views import SentTask
from funcledger_schemas import frames

_encode = msgspec.json.Encoder().encode


def answer_frame(
    tasks: Sequence[SentTask],
    payloads: Sequence[bytes],
    unknown: Sequence[str],
    position: str,
    **more: Any,
) -> bytes:
    """The answer to a request for results."""
    head = {**more, "tasks": tasks, "unknown": unknown, "position": position}
    return frames.pack_encoded(_encode(head), payloads)


def stream_frame(tasks: Sequence[SentTask], payloads: Sequence[bytes], seen: Seen, **more: Any) -> bytes:
    """One frame of a stream; ``seen`` is what the client has been sent with it."""
    head = {**more, "tasks": tasks, "position": str(seen.position), "resume": str(seen)}
    return frames.pack_encoded(_encode(head), payloads, delimited=True)
