"""Counts what each endpoint has still to do, from the log as it goes by, mostly by records' headers alone.

Approximately, which is enough for a limit on load: a submission that came twice, or an outcome after the
first, is counted as if it were one of its own. Two heartbeats that both say the endpoint has nothing to do,
with no submission between them, put the count right.
"""

from collections.abc import Iterable, Sequence

import msgspec

from funcledger_event_log.records import Record
from funcledger_schemas.events import EndpointHeartbeat
from funcledger_schemas.lifecycle import OUTCOMES

TOPICS = ("tasks", "results", "heartbeats")
_SUBMITTED, _ENDED, _ALIVE = 1, 2, 3
_STEPS: dict[str | None, int] = {
    "TaskSubmitted": _SUBMITTED,
    "EndpointHeartbeat": _ALIVE,
    **dict.fromkeys(OUTCOMES, _ENDED),
}
#: What a snapshot of one partition may take, in bytes: what a log keeps beside a position, and room to spare.
SNAPSHOT_BYTES = 3800


#: Endpoint, tasks and bytes, as they are kept.
Row = tuple[str, int, int]


class Load(msgspec.Struct, gc=False):
    """What one endpoint has to do; below zero while outcomes were seen before their submissions.

    ``bytes`` are those of the submissions' records. Outcomes do not say how large the submission was, so each
    takes off the mean.
    """

    partition: int
    tasks: int = 0
    bytes: int = 0
    #: Whether the last thing heard was a heartbeat that said there is nothing to do.
    idle: bool = False


class Tally:
    """The loads of all endpoints, by id."""

    def __init__(self) -> None:
        self._loads: dict[bytes, Load] = {}

    def of(self, endpoint_id: str) -> tuple[int, int]:
        """Tasks and bytes the endpoint has to do, as far as seen."""
        load = self._loads.get(endpoint_id.encode())
        return (max(0, load.tasks), max(0, load.bytes)) if load else (0, 0)

    def apply(self, records: Iterable[Record]) -> None:
        """Take in what the log says."""
        loads = self._loads
        for record in records:
            step = _STEPS.get(record.type)
            if step is None:
                continue
            load = loads.get(record.key)
            if load is None:
                load = loads[record.key] = Load(record.partition)
            if step == _SUBMITTED:
                load.tasks += 1
                load.bytes += len(record.value)
                load.idle = False
            elif step == _ENDED:
                load.bytes -= load.bytes // load.tasks if load.tasks > 0 else load.bytes
                load.tasks -= 1
            elif load.tasks:
                _correct(load, record)

    def snapshot(self) -> dict[int, list[Row]]:
        """The loads there are, by partition; only the largest, where one has too many to be kept."""
        found: dict[int, list[Row]] = {}
        for key, load in self._loads.items():
            if load.tasks:
                found.setdefault(load.partition, []).append((key.decode(), load.tasks, load.bytes))
        return {partition: _largest(rows) for partition, rows in found.items()}

    def restore(self, partition: int, rows: Sequence[Row]) -> None:
        """Begin with what a snapshot says."""
        for endpoint_id, tasks, size in rows:
            self._loads[endpoint_id.encode()] = Load(partition, tasks, size)


def _largest(rows: list[Row]) -> list[Row]:
    rows.sort(key=lambda row: -abs(row[1]))
    size = 0
    for count, row in enumerate(rows):
        size += len(msgspec.json.encode(row)) + 1
        if size > SNAPSHOT_BYTES:
            return rows[:count]
    return rows


def _correct(load: Load, record: Record) -> None:
    event = record.event_if_readable()
    if event is None:
        return
    assert isinstance(event, EndpointHeartbeat)
    if event.busy or event.queued:
        load.idle = False
    elif load.idle:
        load.tasks = load.bytes = 0
    else:
        load.idle = True
