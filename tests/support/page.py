"""A log of lists, as a teller of histories writes it: events, copies of what stands there, and noise."""

from typing import Any

from funcledger_event_log.records import NewRecord, Record
from funcledger_schemas.events import Event


class Page:
    """What has been written, in the order of writing."""

    def __init__(self) -> None:
        self.records: list[Record] = []
        self._ends: dict[tuple[str, int], int] = {}
        self._ids = 0

    def append(self, event: Event, partition: int = 0) -> int:
        """Append an event, the same one as often as wished; returns its offset."""
        return self._append(NewRecord.of(event, partition))

    def _append(self, new: NewRecord) -> int:
        where = new.topic, new.partition
        offset = self._ends[where] = self._ends.get(where, -1) + 1
        # One append in three is in the same millisecond as the one before.
        time = 1_700_000_000_000 + len(self.records) * 2 // 3
        self.records.append(Record(*where, offset, time, new.key, new.headers, new.value))
        return offset

    def copy(self, a: int, b: int) -> None:
        """A record is appended again, as a producer may whose first append seemed to fail."""
        if self.records:
            record = self.records[-1 - (a * 7 + b) % len(self.records)]
            self._append(NewRecord(record.topic, record.partition, record.key, record.headers, record.value))

    def base(self, actor: str = "user:ann") -> dict[str, Any]:
        """What every event has."""
        self._ids += 1
        event_id = f"00000000-0000-7000-8000-{self._ids:012x}"
        return {"event_id": event_id, "occurred_at": 1_700_000_000_000_000 - self._ids, "actor": actor}

    def noise(self, a: int, b: int) -> None:
        """A record that nobody can read."""
        topic = ["tasks", "results", "functions", "heartbeats"][b % 4]
        self._append(NewRecord(topic, 0, b"?", (), bytes([a]) * b))
