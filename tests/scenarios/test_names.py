"""Whatever a user gives as a name is looked for as it is, and never leads to another address."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from tests.support.axes import Running

from funcledger import Client, errors
from funcledger_schemas.ids import new_id


@pytest.fixture(scope="module")
def client(running: Running) -> Iterator[Client]:
    with running.client() as made:
        made.register_endpoint("lab bench.1")
        yield made


CALLS: dict[str, Callable[[Client, str], Any]] = {
    "status": lambda client, name: client.get_endpoint_status(name),
    "metadata": lambda client, name: client.get_endpoint_metadata(name),
    "run": lambda client, name: client.run(endpoint_id=name, function_id=new_id()),
    "delete": lambda client, name: client.delete_endpoint(name),
    "share": lambda client, name: client.share_endpoint(name, user="bob"),
    "tasks": lambda client, name: client.get_tasks(endpoint_id=name),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
@pytest.mark.parametrize(
    "name", ["../etc", "..", ".", "/", "a/b", "a//b", "?role=owner", "#x", "%2F", "é", " ", "lab bench"]
)
def test_a_name_that_nobody_has_is_not_found(
    client: Client, name: str, call: Callable[[Client, str], Any]
) -> None:
    with pytest.raises(errors.EndpointNotFound) as refused:
        call(client, name)
    assert repr(name)[1:-1] in repr(str(refused.value))


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_an_empty_name_is_said_to_be_empty(client: Client, call: Callable[[Client, str], Any]) -> None:
    with pytest.raises(errors.InvalidRequest, match="endpoint_id is empty: give an id or a name"):
        call(client, "")


@pytest.mark.parametrize("name", ["a\nb", "\x7f", "\0"])
def test_a_name_with_a_control_character_is_refused(client: Client, name: str) -> None:
    with pytest.raises(errors.InvalidRequest, match="holds a control character"):
        client.get_endpoint_status(name)


def test_a_name_of_more_characters_than_any_has_is_refused(client: Client) -> None:
    with pytest.raises(errors.InvalidRequest, match="200"):
        client.get_endpoint_status("x" * 201)


def test_a_name_with_spaces_and_dots_is_found(client: Client) -> None:
    assert client.get_endpoint_metadata("lab bench.1")["name"] == "lab bench.1"


@pytest.mark.parametrize("given", ["../etc", "", "..", "x/y"])
def test_what_can_only_be_an_id_is_refused_before_anything_is_sent(client: Client, given: str) -> None:
    with pytest.raises(errors.InvalidRequest, match="is not a UUID"):
        client.get_task(given)
    with pytest.raises(errors.InvalidRequest, match="is not a UUID"):
        client.get_function(given)
    with pytest.raises(errors.InvalidRequest, match="is not a UUID"):
        client.get_task_history(given)
    with pytest.raises(errors.InvalidRequest, match="is not a UUID"):
        client.cancel(given)
