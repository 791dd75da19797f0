"""The binary frame that carries many items in one body: a JSON head, then raw payload bytes.

Layout: 4 bytes big-endian length of the head, the head as UTF-8 JSON, then the payloads one after
another. The head says how long each payload is, so bytes are copied and never re-encoded. In a
stream, each frame is preceded by 4 bytes of its own length; an empty frame keeps a connection open.
"""

import json
from collections.abc import Iterable, Sequence
from typing import Any

MEDIA_TYPE = "application/vnd.funcledger.frame"


class FrameError(ValueError):
    """Raised when bytes are not a well-formed frame."""


def pack(head: Any, payloads: Iterable[bytes] = ()) -> bytes:
    """One frame; ``head`` is anything JSON can say."""
    return pack_encoded(json.dumps(head, separators=(",", ":")).encode(), payloads)


def pack_encoded(head: bytes, payloads: Iterable[bytes] = (), *, delimited: bool = False) -> bytes:
    """As :func:`pack`, of a head that is JSON already; ``delimited`` as it goes into a stream."""
    pieces = (len(head).to_bytes(4, "big"), head, *payloads)
    return b"".join((sum(map(len, pieces)).to_bytes(4, "big"), *pieces) if delimited else pieces)


def unpack_head(frame: bytes, limit: int | None = None) -> tuple[bytes, int]:
    """The head's undecoded JSON, and where the payloads begin.

    Raises:
        FrameError: the frame is shorter than it says, or its head is over ``limit`` bytes.
    """
    end = 4 + int.from_bytes(frame[:4], "big")
    if len(frame) < 4 or len(frame) < end:
        raise FrameError(f"a frame of {len(frame)} bytes ends before its head does")
    if limit is not None and end > 4 + limit:
        raise FrameError(f"the head of the frame takes {end - 4} bytes, the limit is {limit}")
    return frame[4:end], end


def unpack(frame: bytes) -> tuple[Any, int]:
    """The head as decoded JSON, and where the payloads begin.

    Raises:
        FrameError: the frame is cut short or its head is not JSON.
    """
    text, start = unpack_head(frame)
    try:
        return json.loads(text), start
    except (ValueError, RecursionError) as error:
        raise FrameError(f"the head of the frame is not JSON: {error}") from error


def cut(frame: bytes, start: int, sizes: Sequence[int]) -> list[bytes]:
    """The payloads that begin at ``start`` and have these sizes, which must use up the frame.

    Raises:
        FrameError: the sizes do not add up to what is there.
    """
    if min(sizes, default=0) < 0 or start + sum(sizes) != len(frame):
        raise FrameError(f"the sizes add up to {sum(sizes)} bytes, the frame holds {len(frame) - start}")
    payloads = []
    for size in sizes:
        payloads.append(frame[start : start + size])
        start += size
    return payloads


def delimit(frame: bytes) -> bytes:
    """The frame as it goes into a stream."""
    return len(frame).to_bytes(4, "big") + frame


#: Sent on a stream so that proxies keep it open; :class:`Splitter` passes it on as an empty frame.
KEEP_ALIVE = delimit(b"")


class Splitter:
    """Cuts a stream's bytes back into frames, whatever pieces they arrive in.

    The pieces of a frame are joined once, when it is complete.
    """

    def __init__(self, limit: int = 64 * 1024 * 1024) -> None:
        self._pieces: list[bytes] = []
        self._held = 0
        self._needed = 4
        self._limit = limit

    def feed(self, data: bytes) -> list[bytes]:
        """The frames completed by ``data``; empty ones are signs of life.

        Raises:
            FrameError: a frame announces more than the limit.
        """
        self._pieces.append(data)
        self._held += len(data)
        if self._held < self._needed:
            return []
        return self._cut(data if len(self._pieces) == 1 else b"".join(self._pieces))

    def _cut(self, held: bytes) -> list[bytes]:
        frames, at, self._needed = [], 0, 4
        while (body := at + 4) <= len(held):
            size = int.from_bytes(held[at:body], "big")
            if size > self._limit:
                raise FrameError(f"a frame of {size} bytes is over the limit of {self._limit}")
            if body + size > len(held):
                self._needed = 4 + size
                break
            frames.append(held[body : body + size])
            at = body + size
        self._pieces = [held[at:]] if at < len(held) else []
        self._held = len(held) - at
        return frames
