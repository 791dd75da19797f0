"""What Prometheus is told of appends and saves, also of those that fail."""

from collections.abc import Sequence

import pytest
from prometheus_client import CollectorRegistry

from funcledger_compose.measured import MeasuredLog, MeasuredStore
from funcledger_event_log.memory import MemoryLog
from funcledger_event_log.port import OutcomeUnknown
from funcledger_event_log.records import NewRecord, Position
from funcledger_read_models.memory import MemoryStore
from funcledger_read_models.port import Documents, Positions, StaleWriter


class SilentLog(MemoryLog):
    """It does not say whether it has written anything."""

    async def append(self, records: Sequence[NewRecord]) -> list[Position]:
        raise OutcomeUnknown("no answer")


class OvertakenStore(MemoryStore):
    """Somebody else has always been there before."""

    async def save(self, documents: Documents, positions: Positions, before: Positions) -> None:
        raise StaleWriter("another writer")


async def test_appends_without_an_answer_are_counted_by_what_they_came_to() -> None:
    registry = CollectorRegistry()
    with pytest.raises(OutcomeUnknown):
        await MeasuredLog(SilentLog(), registry).append([])
    assert registry.get_sample_value("funcledger_append_failures_total", {"error": "OutcomeUnknown"}) == 1
    assert registry.get_sample_value("funcledger_append_seconds_count") == 0


async def test_saves_that_are_refused_are_counted_by_why() -> None:
    registry = CollectorRegistry()
    with pytest.raises(StaleWriter):
        await MeasuredStore(OvertakenStore(), registry).save({}, {}, {})
    assert registry.get_sample_value("funcledger_save_failures_total", {"error": "StaleWriter"}) == 1
    assert registry.get_sample_value("funcledger_save_seconds_count") == 0
