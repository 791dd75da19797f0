"""Between the reader of the log and the folding: what has been read waits here, and is taken all at once.

So batches grow with the backlog and are single records when there is none.
"""

import asyncio

from funcledger_event_log.records import Record

#: The reader waits while so many records, or bytes of values, lie here.
RECORDS, BYTES = 8_000, 32 << 20


class Inbox:
    """Holds a bounded number of records for one taker."""

    def __init__(self) -> None:
        self._records: list[Record] = []
        self._bytes = 0
        self._closed = False
        self._error: Exception | None = None
        self._changed = asyncio.Condition()

    def __len__(self) -> int:
        return len(self._records)

    async def put(self, records: list[Record]) -> None:
        """Add records, once there is room."""
        async with self._changed:
            await self._changed.wait_for(lambda: len(self._records) < RECORDS and self._bytes < BYTES)
            self._records += records
            self._bytes += sum(len(record.value) for record in records)
            self._changed.notify_all()

    async def take(self) -> list[Record]:
        """Everything that lies here, in order, once there is something; nothing at all after the end.

        Raises:
            Exception: what :meth:`close` was given, when nothing is left.
        """
        async with self._changed:
            await self._changed.wait_for(lambda: self._records or self._closed)
            records, self._records, self._bytes = self._records, [], 0
            self._changed.notify_all()
        if not records and self._error is not None:
            raise self._error
        return records

    async def close(self, error: Exception | None = None) -> None:
        """No more will come, for this reason."""
        async with self._changed:
            self._closed, self._error = True, error
            self._changed.notify_all()
