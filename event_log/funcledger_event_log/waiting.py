"""How far a follower has got, and those who wait for it to get further."""

import asyncio
from collections.abc import Iterable

from funcledger_event_log.records import Record, TopicPartition


class Reached:
    """Per partition the next offset, and futures of those who wait until it has come to some offset."""

    def __init__(self) -> None:
        self.offsets: dict[TopicPartition, int] = {}
        self._waiting: dict[TopicPartition, dict[asyncio.Future[None], int]] = {}
        self._given_up = False

    def advance(self, records: Iterable[Record]) -> None:
        """These records, in order, have been dealt with."""
        # Of each partition the last one counts.
        last = {(record.topic, record.partition): record for record in records}
        touched = {TopicPartition(*where): record.offset + 1 for where, record in last.items()}
        self.offsets.update(touched)
        for where in touched:
            if where in self._waiting:
                self._wake(where, self.offsets[where])

    def _wake(self, where: TopicPartition, offset: int) -> None:
        for future, end in self._waiting[where].items():
            if end <= offset and not future.done():
                future.set_result(None)

    async def wait(self, where: TopicPartition, end: int) -> None:
        """Return once everything before ``end`` has been dealt with, or nothing more ever will be."""
        if self._given_up or self.offsets.get(where, 0) >= end:
            return
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        waiting = self._waiting.setdefault(where, {})
        waiting[future] = end
        try:
            await future
        finally:
            # The caller may have run out of time; a token from far in the future must not stay behind.
            del waiting[future]
            if not waiting:
                self._waiting.pop(where, None)

    def give_up(self) -> None:
        """Nothing more will be dealt with: let go of all who wait."""
        self._given_up = True
        for waiting in self._waiting.values():
            for future in waiting:
                if not future.done():
                    future.set_result(None)
