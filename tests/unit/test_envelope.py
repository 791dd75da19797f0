"""A sealed event carries what CloudEvents asks for and what a follower filters by."""

from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.events import INSTANTS, any_event, written
from tests.support.partitions import about_task, start

from funcledger_schemas import envelope
from funcledger_schemas.codec import DecodeError
from funcledger_schemas.envelope import Brief, dataschema_of, header, seal, spelled_out, type_of, unseal
from funcledger_schemas.events import Event
from funcledger_schemas.ids import is_id, new_id

TASK = about_task("TaskCompleted", "laptop", "t1", 7)


def test_a_task_s_event_is_sealed_with_cloudevents_headers_owner_and_batch() -> None:
    sealed = written(msgspec.structs.replace(TASK, actor="user:Ann Ö"), (("traceparent", b"00-1-2-03"),))
    assert (sealed.topic, sealed.key) == ("results", b"laptop")
    assert sealed.headers == (
        ("ce_specversion", b"1.0"),
        ("ce_id", TASK.event_id.encode()),
        ("ce_type", b"funcledger.events.TaskCompleted"),
        ("ce_source", b"/user/Ann%20%C3%96"),
        ("ce_time", b"1970-01-01T00:00:00.000000+00:00"),
        ("ce_subject", b"t1"),
        ("ce_dataschema", b"urn:funcledger:schema:TaskCompleted:2"),
        ("content-type", b"application/avro"),
        ("ce_owner", b"ann"),
        ("ce_batch", b"b"),
        ("traceparent", b"00-1-2-03"),
    )


def test_bytes_an_agent_wrote_are_sealed_as_they_came() -> None:
    """Decision 4: the gateway makes the headers itself and appends the agent's own bytes."""
    assert seal(TASK, (), b"as written") == seal(TASK)._replace(value=b"as written")


def test_an_endpoint_s_event_is_about_the_endpoint_and_nobody_s_batch() -> None:
    sealed = written(start("laptop", -1))
    assert header(sealed.headers, "ce_subject") == "laptop"
    assert header(sealed.headers, "ce_owner") is None


@given(INSTANTS)
def test_the_time_header_is_the_instant_to_the_microsecond(micros: int) -> None:
    headers = written(msgspec.structs.replace(TASK, occurred_at=micros)).headers
    read = datetime.fromisoformat(header(headers, "ce_time") or "")
    assert read - datetime(1970, 1, 1, tzinfo=UTC) == timedelta(microseconds=micros)


@given(any_event(), st.integers(-(2**63), 2**63 - 1))
def test_no_clock_however_broken_keeps_an_event_from_the_log(event: Event, micros: int) -> None:
    sealed = written(msgspec.structs.replace(event, occurred_at=micros))
    datetime.fromisoformat(header(sealed.headers, "ce_time") or "")
    assert unseal(sealed.headers, sealed.value).occurred_at == micros


def test_headers_that_are_missing_or_no_text_read_as_none() -> None:
    headers = (("ce_type", b"\xff"), ("other", b"x"))
    assert (header(headers, "ce_type"), header(headers, "absent"), type_of(headers)) == (None, None, None)
    assert type_of((("ce_type", b"somebody.elses.Thing"),)) is None
    with pytest.raises(DecodeError, match="names no schema"):
        unseal(headers, b"\0\0\0\0\1")


def test_topics_with_a_partition_per_endpoint_are_those_of_its_tasks() -> None:
    assert set(envelope.TOPICS) > envelope.BY_ENDPOINT


_ID = "01990000-abcd-7000-8000-00000000f001"


def test_ids_are_version_7_uuids_that_sort_by_time() -> None:
    ids = [new_id() for _ in range(1000)]
    assert len(set(ids)) == 1000
    assert all(is_id(text) and text[14] == "7" and text[19] in "89ab" for text in ids)
    assert [text[:13] for text in ids] == sorted(text[:13] for text in ids)


@pytest.mark.parametrize("text", ["", "x" * 36, _ID.upper(), _ID + "\n", "{" + _ID + "}"])
def test_only_lower_case_uuids_are_ids(text: str) -> None:
    assert not is_id(text)


@given(any_event())
def test_what_stands_for_headers_is_read_as_they_are(event: Event) -> None:
    """A brief says the same as the headers it stands for, to whoever does not ask for all of them."""
    head, headers = seal(event).head, written(event).headers
    assert type_of(head) == type_of(headers) == type(event).__name__
    assert dataschema_of(head) == dataschema_of(headers)
    assert spelled_out(head, unseal(head, seal(event).value)) == headers


def test_of_an_event_that_cannot_be_read_the_headers_say_what_is_known() -> None:
    trace = (("traceparent", b"00-1-2-03"),)
    assert spelled_out(Brief("urn:funcledger:schema:TaskVanished:3", trace), None) == (
        ("ce_specversion", b"1.0"),
        ("ce_type", b"funcledger.events.TaskVanished"),
        ("ce_dataschema", b"urn:funcledger:schema:TaskVanished:3"),
        ("content-type", b"application/avro"),
        *trace,
    )
