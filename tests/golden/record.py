"""Writes the golden log of a release, once: ``python -m tests.golden.record v0.1.0``."""

import base64
import json
import sys
from collections import Counter
from typing import Any

from tests.golden.stories import tell
from tests.support.golden import GOLDEN, plain

from funcledger_event_log.records import NewRecord
from funcledger_schemas.envelope import Headers
from funcledger_schemas.events import Event

#: 2026-01-05T08:00:00Z, in milliseconds.
DAWN = 1_767_600_000_000


class Recorder:
    """A log in memory that notes for each record what it means."""

    def __init__(self) -> None:
        self.now = DAWN
        self._log: list[str] = []
        self._expected: list[str] = []
        self._ends: Counter[tuple[str, int]] = Counter()

    def append(
        self,
        event: Event,
        partition: int = 0,
        *,
        void: bool = False,
        foreign: bool = False,
        extra: Headers = (),
    ) -> int:
        """Append an event; returns its offset. A foreign one is of no task that was submitted."""
        meaning = {"type": type(event).__name__, "void": void, "foreign": foreign, "event": plain(event)}
        return self._write(NewRecord.of(event, partition, extra), meaning)

    def append_unreadable(self, record: NewRecord, why: str) -> int:
        """Append a record that nobody can read; returns its offset."""
        return self._write(record, {"unreadable": why})

    def _write(self, record: NewRecord, meaning: dict[str, Any]) -> int:
        where = (record.topic, record.partition)
        offset = self._ends[where]
        self._ends[where] += 1
        self.now += 7
        row = {
            "topic": record.topic,
            "partition": record.partition,
            "offset": offset,
            "timestamp": self.now,
            "key": _text(record.key),
            "headers": [[name, _text(value)] for name, value in record.headers],
            "value": _text(record.value),
        }
        self._log.append(json.dumps(row))
        self._expected.append(json.dumps(meaning, ensure_ascii=False))
        return offset

    def save(self, version: str) -> None:
        """Write the two files; refuses where there is a log already."""
        folder = GOLDEN / version
        folder.mkdir(parents=True)
        (folder / "log.jsonl").write_text("\n".join(self._log) + "\n")
        (folder / "expected.jsonl").write_text("\n".join(self._expected) + "\n")


def _text(value: bytes) -> str:
    return base64.b64encode(value).decode()


if __name__ == "__main__":
    recorder = Recorder()
    tell(recorder)
    recorder.save(sys.argv[1])
