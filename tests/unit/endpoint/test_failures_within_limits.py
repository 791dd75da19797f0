"""What an agent says of a failure always fits into a payload: else the log would never take it (law 12)."""

import pytest

from funcledger_endpoint.facts import Facts
from funcledger_endpoint.report import Report
from funcledger_endpoint.task import Task
from funcledger_schemas.events import TaskFailed
from funcledger_schemas.failures import opened
from funcledger_schemas.limits import PAYLOAD_LIMIT


@pytest.mark.law(12)
@pytest.mark.parametrize("below", [0, 100, 1_000_000])
def test_an_exception_at_the_limit_leaves_room_for_what_was_said(below: int) -> None:
    facts, task = Facts("e", 0), Task(0, "owner", "task", "batch", 0, 0, 3, None)
    exception = bytes(PAYLOAD_LIMIT - below)
    report = Report(
        "Exception", "pickle", exception, 0.1, 0.1, 1, "ValueError", "é" * 4000, "ü" * 30_000, "cpython-3.11"
    )
    event = facts.ended(task, report)
    assert isinstance(event, TaskFailed)
    assert event.payload_size == len(event.payload) <= PAYLOAD_LIMIT
    said = opened(event)
    assert (said.message, said.error_type) == ("é" * 4000, "ValueError")
    assert said.traceback == "ü" * 30_000
    # Where both do not fit, the text goes: it tells more, and every reader can show it.
    assert said.payload == (exception if below == 1_000_000 else b"")
    assert event.payload_code == ("cpython-3.11" if below == 1_000_000 else None), "no code, no reader of it"
