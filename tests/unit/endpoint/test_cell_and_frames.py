"""The shared cell and the frames between agent and worker."""

import os
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from funcledger_endpoint.local import frames
from funcledger_endpoint.local.cell import NO_LIMIT, Cell
from funcledger_endpoint.report import Report
from funcledger_schemas.frames import Splitter


def test_a_call_over_the_limit_may_not_begin_and_both_sides_see_the_same_numbers() -> None:
    ours, fd = Cell.create()
    theirs = Cell(fd)
    os.close(fd)
    assert theirs.begin(1, 17)
    assert (ours.begun, ours.begun_at) == (1, 17)
    ours.limit = ours.begun
    assert not theirs.begin(2, 18)
    ours.limit = NO_LIMIT
    assert theirs.begin(3, 19)
    ours.close()
    theirs.close()


@given(
    st.builds(
        Report,
        kind=st.sampled_from(["", "Exception"]),
        payload_format=st.sampled_from(["", "pickle"]),
        payload=st.binary(),
        run_time=st.floats(0, 1e9),
        cpu_time=st.floats(0, 1e9),
        peak_memory=st.integers(0, 2**62),
        error_type=st.text(max_size=20),
        message=st.text(),
        traceback=st.text(),
    ),
    st.integers(0, 2**62),
    st.integers(0, 2**64 - 1),
)
def test_a_report_arrives_as_it_was_sent(report: Report, number: int, key: int) -> None:
    (message,) = Splitter().feed(frames.pack_report(number, key, report))
    *got_of, got = frames.read_report(message)
    said = got._replace(error_type=report.error_type, message=report.message, traceback=report.traceback)
    assert (got_of, said) == ([number, key], report)
    if report.message.isascii():
        assert got.message == report.message


@given(st.binary(min_size=1), st.integers(0, 60))
def test_a_report_cut_short_or_with_bytes_left_over_is_refused(more: bytes, kept: int) -> None:
    """A task may write whatever it likes into the worker's pipe."""
    (message,) = Splitter().feed(frames.pack_report(1, 7, Report(payload=b"value", message="text")))
    for broken in (message + more, message[: min(kept, len(message) - 1)]):
        with pytest.raises(frames.BadMessage):
            frames.read_report(broken)


def test_calls_and_functions_arrive_as_they_were_sent() -> None:
    call = frames.Call(7, 2**63, 3, 2**40, "pickle", b"abc")
    function = frames.Function(3, "ab" * 32, b"body")
    first, second = Splitter().feed(frames.pack_function(*function) + frames.pack_call(*call))
    assert (frames.read_function(first), frames.read_call(second)) == (function, call)


@pytest.mark.parametrize("name", ["run_time", "cpu_time"])
@pytest.mark.parametrize("measured", [float("nan"), float("inf")])
def test_a_report_that_measures_no_number_is_not_a_workers_own(name: str, measured: float) -> None:
    """What a task wrote into its worker's pipe must not go on to the log."""
    fields: dict[str, Any] = {name: measured}
    message = frames.pack_report(1, 7, Report(**fields))[4:]
    with pytest.raises(frames.BadMessage):
        frames.read_report(message)
