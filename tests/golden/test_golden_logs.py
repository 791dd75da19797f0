"""What any release ever wrote, today's code reads as it was meant."""

import pytest
from tests.support.golden import golden_expected, golden_records, plain, versions

from funcledger_schemas.codec import DecodeError
from funcledger_schemas.envelope import Brief, spelled_out
from funcledger_schemas.lifecycle import Epochs
from funcledger_schemas.manifest import entries


@pytest.mark.parametrize("version", versions())
def test_every_record_decodes_to_the_event_written_down_beside_it(version: str) -> None:
    records, expected = golden_records(version), golden_expected(version)
    assert len(records) == len(expected)
    for record, meaning in zip(records, expected, strict=True):
        if "unreadable" in meaning:
            with pytest.raises(DecodeError, match=meaning["unreadable"]):
                record.event()
            continue
        read = plain(record.event())
        assert (type(record.event()).__name__, record.type) == (meaning["type"], meaning["type"])
        # A later schema may have added fields; those written down must be as they were.
        assert {name: read[name] for name in meaning["event"]} == meaning["event"], record.position


@pytest.mark.parametrize("version", versions())
def test_today_s_rule_voids_the_same_events_law_7(version: str) -> None:
    epochs = Epochs()
    for record, meaning in zip(golden_records(version), golden_expected(version), strict=True):
        if record.topic == "results" and "event" in meaning:
            assert epochs.admit(record.offset, record.event()) is not meaning["void"], record.position


def test_the_golden_logs_hold_every_schema_that_was_released() -> None:
    written = {
        value.decode()
        for version in versions()
        for record in golden_records(version)
        for name, value in record.headers
        if name == "ce_dataschema"
    }
    assert {entry.dataschema for entry in entries()} <= written


@pytest.mark.parametrize("version", versions())
def test_headers_that_are_left_out_come_back_as_they_were_written(version: str) -> None:
    """The embedded log stores none that follow from the event, and hashes of records cover them all."""
    for record, meaning in zip(golden_records(version), golden_expected(version), strict=True):
        if "event" in meaning:
            extra = tuple(each for each in record.headers if each[0] == "traceparent")
            brief = Brief(record.dataschema or "", extra)
            assert spelled_out(brief, record.event()) == record.headers, record.position
