"""What a scientist's program may call is there, under the names it knows, however it is arranged inside."""

import inspect

import pytest

from funcledger import Client, Executor

CALLS = {
    "register_function", "register_source_code", "get_function", "get_functions", "search_function",
    "delete_function", "share_function", "unshare_function",
    "run", "create_batch", "batch_run", "get_result", "get_task", "get_batch_result", "wait", "cancel",
    "get_tasks", "get_task_history",
    "get_endpoints", "get_endpoint_status", "get_endpoint_metadata", "register_endpoint", "delete_endpoint",
    "share_endpoint", "unshare_endpoint",
    "version_check", "logout", "close",
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(CALLS))
def test_a_client_has_every_call_and_says_what_it_does(name: str) -> None:
    assert inspect.getdoc(getattr(Client, name))


def test_a_client_shows_itself_as_one_and_closes_with_its_block() -> None:
    with Client("http://127.0.0.1:1", "flu_x") as client:
        assert type(client) is Client
        assert repr(client) == "Client('http://127.0.0.1:1')"
    assert "FUNCLEDGER_URL" in (inspect.getdoc(Client) or "")


def test_an_executor_has_what_the_standard_library_promises() -> None:
    for name in ("submit", "map", "shutdown", "submit_to_registered_function", "reload_tasks"):
        assert callable(getattr(Executor, name))
