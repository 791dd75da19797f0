"""Bodies of functions by the hash of their content, fetched once and checked before anybody may use them."""

import asyncio
import hashlib
import re
from collections import OrderedDict
from collections.abc import Callable

from funcledger_endpoint.patience import patiently
from funcledger_event_log.endpoint_port import EndpointLog

_MOST_BYTES = 128 << 20
_SHA256 = re.compile(r"[0-9a-f]{64}")

#: Told when a body has arrived: None, or why there is none.
Arrived = Callable[[str | None], None]


class Functions:
    """Keeps the bodies called last, up to a number of bytes."""

    def __init__(self, log: EndpointLog, most_bytes: int = _MOST_BYTES) -> None:
        self._log = log
        self._most_bytes = most_bytes
        self._bytes = 0
        self._bodies: OrderedDict[str, bytes] = OrderedDict()
        self._wanted: asyncio.Queue[tuple[str, int, Arrived]] = asyncio.Queue()

    def get(self, content_hash: str) -> bytes | None:
        """The body if it is at hand."""
        body = self._bodies.get(content_hash)
        if body is not None:
            self._bodies.move_to_end(content_hash)
        return body

    def fetch(self, content_hash: str, offset: int, arrived: Arrived) -> None:
        """Have the body fetched for the task at this offset."""
        self._wanted.put_nowait((content_hash, offset, arrived))

    async def run(self) -> None:
        """Fetch what is wanted, without end."""
        while True:
            content_hash, offset, arrived = await self._wanted.get()
            arrived(None if content_hash in self._bodies else await self._fetch(content_hash, offset))

    async def _fetch(self, content_hash: str, offset: int) -> str | None:
        if not _SHA256.fullmatch(content_hash):
            return f"the function cannot be had: {content_hash!r} is no SHA-256"
        try:
            body = await patiently("fetching a function", lambda: self._log.function(content_hash, offset))
        except LookupError as error:
            return f"the function cannot be had: {error}"
        found = hashlib.sha256(body).hexdigest()
        if found != content_hash:
            return f"the function's body has been changed: its SHA-256 is {found}, not {content_hash}"
        self._bodies[content_hash] = body
        self._bytes += len(body)
        while self._bytes > self._most_bytes and len(self._bodies) > 1:
            self._bytes -= len(self._bodies.popitem(last=False)[1])
        return None
