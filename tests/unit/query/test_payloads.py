"""Payloads that stand on the log alone: there, gone with retention, or not seen yet."""

from collections.abc import Sequence

import pytest
from tests.support.queries import Task

from funcledger_event_log.memory import MemoryLog
from funcledger_event_log.port import LogUnavailable
from funcledger_event_log.records import NewRecord, Position, Record
from funcledger_query_api.payloads import payloads_of
from funcledger_read_models.documents import TaskResult


def result(offset: int, payload: bytes | None = None) -> TaskResult:
    return TaskResult(
        owner="ada",
        task_id=f"task {offset}",
        endpoint_id="lab",
        batch_id="batch",
        status="success",
        partition=0,
        offset=offset,
        finished_at=0,
        attempt=1,
        payload_size=5,
        payload=payload,
    )


async def holding(log: MemoryLog, *values: bytes) -> MemoryLog:
    await log.create_topic("results", 1)
    await log.append([NewRecord.of(Task().completed(value), 0) for value in values])
    return log


async def test_what_the_read_models_hold_is_not_read_again() -> None:
    log = await holding(MemoryLog(), b"first", b"other")
    assert await payloads_of(log, [result(1), result(7, b"inner"), result(0)]) == [
        b"other",
        b"inner",
        b"first",
    ]


async def test_of_an_expired_record_the_payload_is_empty() -> None:
    class Expired(MemoryLog):
        async def read(self, positions: Sequence[Position]) -> list[Record | None]:
            found = await super().read(positions)
            return [None if at.offset == 0 else record for at, record in zip(positions, found, strict=True)]

    log = await holding(Expired(), b"first", b"other")
    assert await payloads_of(log, [result(0), result(1)]) == [b"", b"other"]


async def test_a_payload_beyond_what_we_see_of_the_log_is_not_said_to_be_empty() -> None:
    """Another process wrote the read models, and knows a later end of the log than this one."""
    log = await holding(MemoryLog(), b"first")
    with pytest.raises(LogUnavailable, match="cannot be read yet"):
        await payloads_of(log, [result(0), result(1)])
