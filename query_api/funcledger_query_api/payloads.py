"""Reads from the log the payloads that the read models do not hold."""

from collections.abc import Sequence

from funcledger_event_log.port import EventLog, LogUnavailable
from funcledger_event_log.records import Position
from funcledger_read_models.documents import TaskResult
from funcledger_schemas.events import Event, TaskFailed
from funcledger_schemas.failures import opened


async def payloads_of(log: EventLog, results: Sequence[TaskResult]) -> list[bytes]:
    """The payload of each result, in order; empty where there is none, or none any more.

    A failure too large for a document gets its texts as well, which stand in its payload.

    Raises:
        LogUnavailable: some are on the log alone, and it cannot be read now.
    """
    absent = [index for index, result in enumerate(results) if result.payload is None and result.payload_size]
    payloads = [result.payload or b"" for result in results]
    positions = [Position("results", results[index].partition, results[index].offset) for index in absent]
    records = await log.read(positions) if positions else []
    gone = [at for at, record in zip(positions, records, strict=True) if record is None]
    if gone and await _are_to_come(log, gone):
        raise LogUnavailable("a payload that the read models know of cannot be read yet")
    for index, record in zip(absent, records, strict=True):
        if record is not None:
            payloads[index] = _payload(record.event(), results[index])
    return payloads


def _payload(event: Event, result: TaskResult) -> bytes:
    if isinstance(event, TaskFailed):
        event = opened(event)
        result.message, result.traceback = event.message, event.traceback
        result.payload_format, result.payload_size = event.payload_format, event.payload_size
    return getattr(event, "payload", b"")


async def _are_to_come(log: EventLog, positions: Sequence[Position]) -> bool:
    """Whether one lies beyond what we see of the log, which whoever keeps the read models may see more of."""
    ends = await log.ends("results")
    return any(at.offset >= ends.get(at.partition, 0) for at in positions)
