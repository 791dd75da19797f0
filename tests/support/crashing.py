"""The command ``funcledger`` whose server kills itself at a point that a test names.

``TEST_CRASH_AT`` is a topic and a number: right after so many appends to it are durable, before any is told.
"""

import os
import signal
from collections.abc import Sequence

from funcledger_compose.main import main
from funcledger_event_log.records import NewRecord, Position
from funcledger_event_log.sqlite import SqliteLog


def _mortal(topic: str, left: int) -> None:
    append = SqliteLog.append

    async def append_and_die(log: SqliteLog, records: Sequence[NewRecord]) -> list[Position]:
        nonlocal left
        positions = await append(log, records)
        left -= any(record.topic == topic for record in records)
        if left <= 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return positions

    SqliteLog.append = append_and_die  # type: ignore[method-assign,assignment]


if __name__ == "__main__":
    if "TEST_CRASH_AT" in os.environ:
        topic, _, number = os.environ["TEST_CRASH_AT"].partition(":")
        _mortal(topic, int(number))
    main()
