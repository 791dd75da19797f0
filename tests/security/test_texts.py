"""Text is checked where it comes in, within its bounds in events, and escaped where it is shown."""

import io
import json
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from tests.support.commands import FRAME, Side, command_side, endpoint_json, function_head, group, task_frame
from tests.support.commands import function_frame as frame_of
from tests.support.events import any_event
from tests.support.queries import Task, function, query_side, registered

from funcledger_command_api.models import TASKS_LIMIT
from funcledger_compose.cli import output
from funcledger_compose.cli.task import show_history
from funcledger_endpoint.engine import Loss
from funcledger_endpoint.facts import Facts
from funcledger_endpoint.report import Report
from funcledger_endpoint.task import Task as AgentTask
from funcledger_schemas.events import Event, TaskFailed
from funcledger_schemas.events.parts import Dependency, TaskKey
from funcledger_schemas.failures import FORMAT as FAILURE
from funcledger_schemas.failures import opened, pack_failure
from funcledger_schemas.limits import (
    DESCRIPTION_LIMIT,
    MESSAGE_LIMIT,
    NAME_LIMIT,
    PARTS_LIMIT,
    SETTINGS_LIMIT,
    TRACEBACK_LIMIT,
)
from funcledger_schemas.texts import DEPTH_LIMIT, BadText, check_json, check_texts, mended, shorten, visible

HALF = "\ud800"


def _nested(depth: int) -> dict[str, Any]:
    value: Any = 1
    for _ in range(depth):
        value = {"a": value}
    return {"a": value}


@pytest.fixture
async def side() -> AsyncIterator[Side]:
    async with command_side() as running:
        yield running


@pytest.mark.attack(38)
@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"metadata": {"site": ["ok", f"lab {HALF}"]}}, "metadata: site.1 holds half"),
        ({"metadata": {HALF: 1}}, "metadata: \\ud800 holds half a surrogate"),
        ({"metadata": _nested(DEPTH_LIMIT)}, f"nested more than {DEPTH_LIMIT} deep"),
        ({"metadata": {"a": "x" * SETTINGS_LIMIT}}, f"{SETTINGS_LIMIT + 8} characters of JSON, the limit is"),
        ({"description": "ä" * DESCRIPTION_LIMIT}, f"{2 * DESCRIPTION_LIMIT} bytes, the limit is"),
        ({"description": HALF}, "description"),
    ],
)
@pytest.mark.parametrize("kind", ["function", "endpoint"])
async def test_what_describes_a_function_or_an_endpoint_can_be_written_again(
    side: Side, kind: str, fields: dict[str, Any], said: str
) -> None:
    """422, and where it is wrong, or how long it is."""
    if kind == "endpoint":
        body, path, headers = json.dumps(endpoint_json(**fields)), "/v1/endpoints", {}
        headers = {"Content-Type": "application/json"}
        answer = await side.client.post(path, content=body, headers=headers)
    else:
        answer = await side.client.post("/v1/functions", content=frame_of(**fields), headers=FRAME)
    assert answer.status_code == 422
    # JSON with half a pair of surrogates cannot be read at all where it is read strictly.
    unreadable = kind == "function" and r"\ud800" in json.dumps(fields)
    assert ("hex escape at line 1 column" if unreadable else said) in answer.json()["detail"]


@pytest.mark.attack(38)
@pytest.mark.parametrize("character", ["\x1b", "\x00", "\n", "\x7f", "\x9b", "\u2028", "\u202e", "\u2066"])
async def test_a_name_holds_nothing_that_steers_a_terminal(side: Side, character: str) -> None:
    body = function_head(name=f"a{character}b", payload="")
    answer = await side.client.post("/v1/functions", json=body)
    assert answer.status_code == 422
    assert f"this one has {character!a}" in answer.json()["detail"]
    endpoint = await side.endpoint()
    answer = await side.client.put(f"/v1/endpoints/{endpoint}/shares/user/a{quote(character)}")
    assert answer.status_code in (404, 422)


@pytest.mark.attack(38)
async def test_names_in_any_language_are_names(side: Side) -> None:
    for name in ("π mal Daumen", "函数", "दिल", "👩‍🔬", "[bold]", "a" * NAME_LIMIT):
        await side.register(name=name)


@pytest.mark.attack(38)
@pytest.mark.parametrize("field", ["resource_specification", "endpoint_config"])
async def test_settings_of_a_task_can_be_written_again(side: Side, field: str) -> None:
    endpoint, known = await side.endpoint(), await side.register()
    asked = group(endpoint, known, [b""], **{field: {"note": HALF}})
    answer = await side.client.post("/v1/tasks", content=task_frame([asked], [b""]), headers=FRAME)
    assert answer.status_code == 422
    assert await side.records("tasks") == []


@pytest.mark.attack(38)
async def test_what_was_stored_before_it_was_checked_takes_no_list_with_it() -> None:
    """Half a pair of surrogates, and JSON nested deeper than anybody reads, in metadata of old events."""
    async with query_side() as side:
        for number, metadata in ((2, '{"a\\uD800": ["\\ud800"]}'), (3, '{"a":' + "[" * 100_000)):
            endpoint = f"00000000-0000-7000-8000-00000000e00{number}"
            await side.append(registered(endpoint, metadata=metadata))
        await side.append(function(metadata='{"a": "\\udfff"}'))
        await side.project()
        endpoints = await side.client.get("/v1/endpoints")
        assert endpoints.status_code == 200
        shown = {each["endpoint_id"][-4:]: each["metadata"] for each in endpoints.json()["endpoints"]}
        assert shown == {"e001": None, "e002": {"a\ufffd": ["\ufffd"]}, "e003": None}
        (found,) = (await side.client.get("/v1/functions")).json()["functions"]
        assert found["metadata"] == {"a": "\ufffd"}


@pytest.mark.attack(38)
@given(st.recursive(st.text(st.characters()), lambda part: st.lists(part) | st.dictionaries(st.text(), part)))
def test_json_that_is_taken_can_be_written_and_what_is_mended_too(value: Any) -> None:
    json.dumps(mended(value), ensure_ascii=False).encode()
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        with pytest.raises(BadText):
            check_json(value)
    else:
        check_json(value)
        assert mended(value) == value


def _failed(**fields: Any) -> TaskFailed:
    event = Task().failed()
    return TaskFailed(**{name: getattr(event, name) for name in event.__struct_fields__} | fields)


@pytest.mark.attack(37)
@pytest.mark.parametrize(
    ("name", "limit"),
    [
        ("message", MESSAGE_LIMIT),
        ("traceback", TRACEBACK_LIMIT),
        ("kind", NAME_LIMIT),
        ("error_type", NAME_LIMIT),
        ("payload_format", NAME_LIMIT),
        ("batch_id", NAME_LIMIT),
    ],
)
@pytest.mark.parametrize("character", ["a", "ä", "🙂"])
def test_each_text_of_an_event_has_its_bound_in_bytes(name: str, limit: int, character: str) -> None:
    most = limit // len(character.encode())
    check_texts(_failed(**{name: character * most}))
    with pytest.raises(BadText, match=rf"{name} takes \d+ bytes, the limit is {limit}"):
        check_texts(_failed(**{name: character * (most + 1)}))


@pytest.mark.attack(37)
def test_what_stands_within_a_field_of_an_event_is_bounded_too() -> None:
    key = {"endpoint_id": "e", "owner": "o", "task_id": "t"}
    long = "x" * (NAME_LIMIT + 1)
    for field, value, said in (
        ("labels", (long,), "labels takes"),
        ("labels", ("a",) * (PARTS_LIMIT + 1), f"labels has {PARTS_LIMIT + 1} items"),
        ("rerun_of", TaskKey(**{**key, "owner": long}), "rerun_of.owner takes"),
        ("dependencies", (Dependency(TaskKey(**key), (long,)),), "dependencies.places takes"),
    ):
        changes: dict[str, Any] = {field: value}
        with pytest.raises(BadText, match=said):
            check_texts(Task().submitted(**changes))


@pytest.mark.attack(37, 38)
def test_what_a_failure_says_is_bounded_and_can_be_written_whoever_packed_it() -> None:
    """The fold keeps it in a document, and answers carry it."""
    said = pack_failure(HALF + "x" * 10 * MESSAGE_LIMIT, HALF + "y" * 10 * TRACEBACK_LIMIT, None, b"")
    event = opened(_failed(message="", payload_format=FAILURE, payload=said, payload_size=len(said)))
    check_texts(event)
    assert event.message.startswith("\ufffdxxx")
    assert str(event.traceback).startswith("\ufffdyyy")


@given(any_event())
def test_short_texts_of_every_class_of_events_are_within_their_bounds(event: Event) -> None:
    check_texts(event)


@pytest.mark.attack(37)
@given(st.text(st.characters(codec="utf-8"), min_size=50).map(lambda text: text * 2_000))
def test_what_an_honest_agent_says_is_within_the_bounds_whatever_its_functions_raise(text: str) -> None:
    """The beginning and the end stay."""
    facts, task = Facts("e", 0), AgentTask(0, "owner", "task", "batch", 0, 0, 3, None)
    report = Report(kind="Exception", error_type=text, message=text, traceback=text)
    loss = Loss("WorkerDied", text)
    ended = facts.ended(task, report)
    assert isinstance(ended, TaskFailed)
    check_texts(ended)
    for event in (opened(ended), facts.failed(task, loss), facts.attempt_failed(task, loss)):
        check_texts(event)
        assert getattr(event, "message").startswith(text[:20])  # noqa: B009
        assert getattr(event, "message").endswith(text[-20:])  # noqa: B009


def test_what_is_short_stays_as_it_is() -> None:
    assert shorten("ä" * 128, 256) == "ä" * 128
    assert "744 bytes left out" not in shorten("ä" * 128, 256)
    assert len(shorten("ä" * 129, 256).encode()) <= 256


@pytest.mark.attack(38)
@pytest.mark.parametrize(
    "said",
    ["\x1b[2J\x1b]0;owned\x07", "[bold red]x[/]", "[/nonsense]", "[link=http://x]y", "\u202eevil", HALF],
)
def test_what_others_have_written_steers_no_terminal_and_is_no_markup(
    said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In tables, in fields and in sentences, on a terminal with all its colours."""
    shown = io.StringIO()
    console = Console(file=shown, force_terminal=True, color_system="truecolor", width=200)
    monkeypatch.setattr(output, "console", console)
    event = {"message": said, "worker": said, "kind": said, "reason": said}
    entry = {"topic": "results", "partition": 0, "offset": 1, "timestamp": 0, "type": said, "event": event}
    show_history([entry])
    output.show_fields({"message": said})
    output.say(f"Stopped {said}.")
    text = shown.getvalue()
    assert text.count(visible(said)) == 7
    # What is left are rich's own bold heads and resets.
    assert set("".join(text.split("\x1b[1m")).replace("\x1b[0m", "")).isdisjoint("\x1b\x07\u202e\ud800")


def test_a_value_of_several_lines_cannot_pass_for_further_fields(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = io.StringIO()
    monkeypatch.setattr(output, "console", Console(file=shown, width=200))
    output.show_fields({"message": "x\nstatus: success", "status": "failed"})
    assert shown.getvalue() == "message: x\n    status: success\nstatus: failed\n"


def test_the_most_tasks_are_no_more_values_than_a_body_may_hold() -> None:
    from funcledger_command_api.models import TaskJson
    from funcledger_schemas.limits import JSON_VALUES_LIMIT

    assert TASKS_LIMIT * (len(TaskJson.model_fields) + 1) < JSON_VALUES_LIMIT
