"""What is accepted has an effect, and what has none is refused with a sentence."""

import inspect
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from funcledger import Client, Executor, errors
from funcledger.batch import Batch
from funcledger_schemas.ids import new_id

ORIGINAL = tomllib.loads((Path(__file__).parent / "original_keywords.toml").read_text())
CALLS = [(kind, call) for kind, calls in ORIGINAL.items() for call in calls]


@pytest.fixture
def client() -> Client:
    return Client("http://127.0.0.1:1", "flu_x", patience=0.1)


@pytest.fixture
def executor(client: Client) -> Executor:
    return Executor(endpoint_id="lab", client=client)


@pytest.mark.parametrize(("kind", "call"), CALLS)
def test_every_keyword_of_the_original_is_one_here(kind: str, call: str) -> None:
    ours = inspect.signature(getattr({"Client": Client, "Executor": Executor, "Batch": Batch}[kind], call))
    takes_any = any(one.kind is one.VAR_KEYWORD for one in ours.parameters.values())
    missing = [keyword for keyword in ORIGINAL[kind][call] if keyword not in ours.parameters]
    assert takes_any or not missing


@pytest.mark.parametrize(
    "keyword", ["container_id", "amqp_port", "api_burst_limit", "api_burst_window_s", "result_serializers"]
)
def test_an_executor_refuses_what_has_no_effect(client: Client, keyword: str) -> None:
    make: Any = Executor
    with pytest.raises(errors.InvalidRequest, match=rf"{keyword} has no effect here: .*\. Leave it out\."):
        make(endpoint_id="lab", client=client, **{keyword: 443})
    assert make(endpoint_id="lab", client=client, **{keyword: None}).label == ""


REFUSED: dict[str, Callable[[Client], Any]] = {
    "create_websocket_queue": lambda client: client.create_batch(create_websocket_queue=True),
    "result_serializers": lambda client: client.create_batch(result_serializers=["x"]),
    "container_uuid": lambda client: client.register_function(pow, container_uuid=new_id()),
    "searchable": lambda client: client.register_function(pow, searchable=False),
    "endpoint_version": lambda client: client.version_check("2.1"),
    "multi_user": lambda client: client.register_endpoint("lab", multi_user=True),
    "function_id": lambda client: Executor(client=client).register_function(pow, function_id=new_id()),
}


@pytest.mark.parametrize("keyword", REFUSED)
def test_a_client_refuses_what_has_no_effect(client: Client, keyword: str) -> None:
    with pytest.raises(errors.InvalidRequest, match=f"{keyword} has no effect here"):
        REFUSED[keyword](client)


def test_what_says_no_more_than_what_holds_anyway_is_taken(client: Client) -> None:
    assert len(client.create_batch(create_websocket_queue=False)) == 0
    with pytest.raises(errors.ServiceUnavailable):
        client.register_function(pow, searchable=True)
    with pytest.raises(errors.ServiceUnavailable):
        client.register_endpoint("lab", multi_user=False)
    with pytest.raises(TypeError, match=r"register_endpoint.* has no keyword 'descripton'"):
        client.register_endpoint("lab", descripton="misspelt")


@pytest.mark.parametrize("given", ["jsno", object(), ["json"]])
def test_an_unknown_serializer_is_refused(client: Client, executor: Executor, given: Any) -> None:
    for attempt in (
        lambda: Executor(client=client, serializer=given),
        lambda: client.create_batch(serializer=given),
        lambda: setattr(executor, "serializer", given),
        lambda: client.register_function(pow, serializer=given),
    ):
        with pytest.raises(errors.InvalidRequest, match="There is no serializer"):
            attempt()


def test_the_second_text_of_a_function_is_its_description_and_no_text_makes_it_public(client: Client) -> None:
    names = list(inspect.signature(client.register_function).parameters)
    assert names[:5] == ["function", "description", "metadata", "public", "group"]
    with pytest.raises(errors.InvalidRequest, match="public of a function cannot be 'what it is for'"):
        client.register_function(pow, "pow", None, "what it is for")  # type: ignore[arg-type]


def test_settings_of_an_executor_take_effect_when_they_are_set(executor: Executor) -> None:
    specification = {"note": ["kept"]}
    executor.resource_specification = specification
    specification["note"].append("changed later")
    executor.memory, executor.walltime = "1GB", 3.0
    executor.user_endpoint_config = {"a": 1}
    assert executor.options.fields() == {
        "walltime": 3.0,
        "resource_specification": {"note": ["kept"], "memory_limit": 1_000_000_000},
        "endpoint_config": {"a": 1},
    }
    with pytest.raises(TypeError):
        executor.resource_specification["note"] = "not by this way"
    assert executor.resource_specification == {"note": ["kept"]}
    executor.task_group_id = group = new_id()
    executor.batch_size, executor.serializer = 7, "json"
    assert (executor.task_group_id, executor.batch_size, executor.serializer) == (group, 7, "json")


@pytest.mark.parametrize("given", [["a list"], {"a": object()}, {1j: 1}, "text"])
def test_settings_that_cannot_be_sent_are_refused_when_they_are_set(executor: Executor, given: Any) -> None:
    with pytest.raises(errors.InvalidRequest, match="resource_specification must be a dictionary"):
        executor.resource_specification = given
    assert executor.options.fields() == {}


@pytest.mark.parametrize(
    ("name", "given", "reason"),
    [
        ("walltime", -1, "walltime must be more than 0 seconds"),
        ("walltime", float("nan"), "walltime must be more than 0 seconds"),
        ("walltime", "5", "walltime must be a number of seconds, not '5'"),
        ("max_attempts", 0, "max_attempts must be at least 1 and at most 1,000, not 0"),
        ("max_attempts", "x", "max_attempts must be a whole number, not 'x'"),
        ("expires_in", True, "expires_in must be a whole number, not True"),
        ("batch_size", 2.5, "batch_size must be a whole number, not 2.5"),
    ],
)
def test_numbers_that_no_server_takes_are_refused_when_they_are_set(
    client: Client, executor: Executor, name: str, given: Any, reason: str
) -> None:
    with pytest.raises(errors.InvalidRequest, match=reason):
        setattr(executor, name, given)
    with pytest.raises(errors.InvalidRequest, match=reason):
        Executor(new_id(), client, **{name: given})


def test_who_sets_what_no_worker_heeds_is_told_so_once(
    executor: Executor, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(2):
        executor.resource_specification = {"memory_limit": 10**9, "ranks_heeded_by_nobody": 3}
    (said,) = caplog.messages
    assert said.startswith("resource_specification: 'ranks_heeded_by_nobody' is kept in the tasks' history")
    executor.user_endpoint_config = {"queue_heeded_by_nobody": "short"}
    assert "user_endpoint_config: 'queue_heeded_by_nobody' is kept" in caplog.text


def test_settings_of_a_batch_hold_for_it_until_it_is_submitted(client: Client) -> None:
    batch = client.create_batch(walltime=1.0)
    batch.resource_specification = {"cores": 2}
    batch.add(new_id(), (1,))
    (task,) = batch.tasks("an-endpoint", str)
    assert task.options.fields() == {"walltime": 1.0, "resource_specification": {"cores": 2}}


def test_an_attribute_without_effect_is_refused(client: Client, executor: Executor) -> None:
    for what in (client, executor, client.create_batch()):
        with pytest.raises(AttributeError, match="has no setting 'waltime', so that would have no effect"):
            what.waltime = 1
    with pytest.raises(AttributeError, match="has no setting 'token'"):
        client.token = "flu_y"
    with pytest.raises(errors.InvalidRequest, match="amqp_port of Executor has no effect"):
        executor.amqp_port = 443
    client.patience, client.room_timeout = 2.0, 3.0
    assert (client.transport.patience, client.transport.room_timeout) == (2.0, 3.0)


def test_a_program_may_keep_what_it_likes_in_a_class_of_its_own(client: Client) -> None:
    class Mine(Executor):
        pass

    mine: Any = Mine("lab", client)
    mine.colour = "red"
    assert mine.colour == "red"


def test_ids_are_given_under_one_of_their_names(client: Client) -> None:
    for wrong in ({}, {"endpoint_id": "lab", "endpoint_uuid": "lab"}):
        with pytest.raises(errors.InvalidRequest, match=r"endpoint_id= .*endpoint_uuid="):
            client.get_endpoint_status(**wrong)
    with pytest.raises(errors.InvalidRequest, match="task_id_list="):
        client.get_batch_result()
    with pytest.raises(errors.InvalidRequest, match="batch_run takes"):
        client.batch_run(endpoint_id="lab")
