"""Function bodies on the log, found by the function's id and the hash of its content."""

from contextlib import aclosing
from typing import Protocol

from funcledger_event_log.port import EventLog
from funcledger_event_log.records import Position, TopicPartition
from funcledger_schemas.events import FunctionRegistered

_FUNCTIONS = TopicPartition("functions", 0)


class Bodies(Protocol):
    """Finds the bodies of functions."""

    async def find(self, function_id: str, content_hash: str) -> bytes:
        """The payload of the function whose content has this SHA-256.

        Raises:
            LookupError: the log holds no such body.
        """
        ...


class FunctionBodies:
    """Where each function's body stands; it learns from keys and headers and keeps offsets, never bodies."""

    def __init__(self, log: EventLog) -> None:
        self._log = log
        self._offsets: dict[bytes, list[int]] = {}
        self._next: int | None = None

    async def find(self, function_id: str, content_hash: str) -> bytes:
        """As the protocol says."""
        await self._catch_up()
        positions = [Position(*_FUNCTIONS, offset) for offset in self._offsets.get(function_id.encode(), ())]
        for record in await self._log.read(positions):
            event = record.event() if record is not None else None
            if isinstance(event, FunctionRegistered) and event.payload_sha256 == content_hash:
                return event.payload
        raise LookupError(f"no body of function {function_id} with content {content_hash} is on the log")

    async def _catch_up(self) -> None:
        end = (await self._log.ends(_FUNCTIONS.topic)).get(_FUNCTIONS.partition, 0)
        start = self._next
        if start is None:
            start = (await self._log.starts(_FUNCTIONS.topic)).get(_FUNCTIONS.partition, 0)
        if start >= end:
            return
        async with aclosing(self._log.follow({_FUNCTIONS: start})) as batches:
            async for batch in batches:
                for record in batch:
                    if record.type == "FunctionRegistered":
                        self._note(record.key, record.offset)
                self._next = batch[-1].offset + 1
                if self._next >= end:
                    return

    def _note(self, key: bytes, offset: int) -> None:
        offsets = self._offsets.setdefault(key, [])
        # Two requests may catch up over the same records at once.
        if offset not in offsets:
            offsets.append(offset)
