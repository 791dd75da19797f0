"""Row 19: arguments, functions and results of 5 MiB are taken, one byte more is refused with both numbers.

By the SDK before anything is sent, by the server whoever sends it, by the worker as ResultTooLarge.
"""

from collections.abc import Callable, Iterator

import httpx2
import pytest
from tests.support import axes
from tests.support.axes import Running
from tests.support.commands import FRAME, function_frame, group, task_frame
from tests.support.deadlines import scaled

from funcledger import ArgumentsTooLarge, Client, FunctionTooLarge, ResultTooLarge
from funcledger_payloads import dump, dump_arguments, dump_function
from funcledger_schemas.limits import PAYLOAD_LIMIT

OVER = [pytest.param(-1, id="5 MiB - 1"), pytest.param(0, id="5 MiB"), pytest.param(1, id="5 MiB + 1")]


@pytest.fixture(scope="module", params=axes.PARAMS)
def running(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with axes.running(str(request.param), tmp_path_factory.mktemp("endpoints")) as started:
        yield started


@pytest.fixture(scope="module")
def client(running: Running) -> Iterator[Client]:
    with running.client() as made:
        yield made


def sized(form: Callable[[int], int], size: int) -> int:
    """How much data makes ``form`` take exactly so many bytes when it is serialised."""
    data = size - (form(PAYLOAD_LIMIT - 1000) - (PAYLOAD_LIMIT - 1000))
    assert form(data) == size
    return data


def length(data: bytes) -> int:
    return len(data)


def zeros(size: int) -> bytes:
    return bytes(size)


def holding(size: int) -> Callable[[], int]:
    """A function that carries so much data with it."""
    data = bytes(range(256)) * (size // 256 + 1)
    data = data[:size]
    return lambda: len(data)


@pytest.mark.parametrize("over", OVER)
def test_row19_arguments_are_refused_before_they_are_sent(client: Client, over: int) -> None:
    data = bytes(sized(lambda size: len(dump_arguments((bytes(size),), {})[1]), PAYLOAD_LIMIT + over))
    function = client.register_function(length)
    if over > 0:
        with pytest.raises(ArgumentsTooLarge, match=f"{PAYLOAD_LIMIT + 1:,}.*{PAYLOAD_LIMIT:,}"):
            client.run(data, endpoint_id="lab", function_id=function)
    else:
        task = client.run(data, endpoint_id="lab", function_id=function)
        assert client.get_result(task, timeout=scaled(30)) == len(data)


@pytest.mark.parametrize("over", OVER)
def test_row19_a_function_is_refused_before_it_is_sent(client: Client, over: int) -> None:
    size = sized(lambda size: len(dump_function(holding(size)).bytes), PAYLOAD_LIMIT + over)
    if over > 0:
        with pytest.raises(FunctionTooLarge, match=f"{PAYLOAD_LIMIT + 1:,}.*{PAYLOAD_LIMIT:,}"):
            client.register_function(holding(size))
    else:
        task = client.run(endpoint_id="lab", function_id=client.register_function(holding(size)))
        assert client.get_result(task, timeout=scaled(30)) == size


@pytest.mark.parametrize("over", OVER)
def test_row19_a_result_over_the_limit_fails_as_result_too_large_and_never_vanishes(
    client: Client, over: int
) -> None:
    size = sized(lambda size: len(dump(bytes(size))[1]), PAYLOAD_LIMIT + over)
    task = client.run(size, endpoint_id="lab", function_id=client.register_function(zeros))
    if over > 0:
        with pytest.raises(ResultTooLarge, match=f"{PAYLOAD_LIMIT + 1}.*{PAYLOAD_LIMIT}"):
            client.get_result(task, timeout=scaled(30))
        assert client.get_task(task)["kind"] == "ResultTooLarge"
    else:
        assert client.get_result(task, timeout=scaled(30)) == bytes(size)
    assert [entry["type"] for entry in client.get_task_history(task)][-1].startswith(
        "TaskFailed" if over > 0 else "TaskCompleted"
    )


@pytest.mark.parametrize("over", OVER)
@pytest.mark.parametrize("what", ["arguments", "function"])
def test_row19_the_server_refuses_it_again_whoever_sends_it(
    running: Running, client: Client, what: str, over: int
) -> None:
    """With a 413, and nothing is on the log."""
    payload = bytes(PAYLOAD_LIMIT + over)
    endpoint = client.endpoints.resolve("lab")
    if what == "function":
        path, body = "/v1/functions", function_frame(payload)
    else:
        asked = group(endpoint, client.register_function(length), [payload], expires_in=1)
        path, body = "/v1/tasks", task_frame([asked], [payload])
    headers = {**FRAME, "Authorization": f"Bearer {running.token}"}
    answer = httpx2.post(running.url + path, content=body, headers=headers, trust_env=False)
    if over > 0:
        assert answer.status_code == 413
        problem = answer.json()
        assert (problem["size"], problem["limit"]) == (PAYLOAD_LIMIT + 1, PAYLOAD_LIMIT)
        assert str(PAYLOAD_LIMIT + 1) in problem["detail"]
        assert str(PAYLOAD_LIMIT) in problem["detail"]
    else:
        assert answer.status_code in (201, 202), answer.text
