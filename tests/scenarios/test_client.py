"""Every call of the client that the tutorial shows, and those its users ask for, against all real parts."""

import asyncio
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import UUID

import pytest
from tests.support.axes import Running
from tests.support.deadlines import scaled
from tests.support.poll import until_sync

from funcledger import Client, errors
from funcledger_payloads import dump
from funcledger_schemas.ids import new_id
from funcledger_schemas.limits import PAYLOAD_LIMIT

FACTOR = 3


def tripled(x: int, *, plus: int = 0) -> int:
    """Multiply by a global."""
    return x * FACTOR + plus


def fail(message: str) -> None:
    raise ValueError(message)


def leave() -> None:
    raise SystemExit(3)


def generator() -> object:
    return (n for n in range(3))


def zeros(size: int) -> bytes:
    return bytes(size)


def length(data: bytes) -> int:
    return len(data)


def nap(seconds: float) -> str:
    time.sleep(seconds)
    return "rested"


def wait_for(file: str) -> str:
    deadline = time.monotonic() + 60
    while not Path(file).exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    return "rested"


def overhead(form: Callable[[bytes], object]) -> int:
    """How many bytes more than its data this takes when it is serialised."""
    return len(dump(form(bytes(1_000_000)))[1]) - 1_000_000


@pytest.fixture(scope="module")
def client(running: Running) -> Iterator[Client]:
    with running.client() as made:
        yield made


def call(client: Client, function: object, *args: object, **kwargs: object) -> str:
    function_id = client.register_function(function)  # type: ignore[arg-type]
    return client.run(*args, endpoint_id="lab", function_id=function_id, **kwargs)


def test_a_function_runs_elsewhere_and_its_value_comes_back(client: Client) -> None:
    function = client.register_function(tripled, description="times three", metadata={"unit": "m"})
    endpoint = client.get_endpoint_metadata("lab")["endpoint_id"]
    assert str(UUID(function)) == function
    task = client.run(2, endpoint_id=UUID(endpoint), function_id=UUID(function), plus=1)
    assert client.get_result(task) == 7
    assert client.get_result(UUID(task)) == 7, "a result can be fetched again"


def test_get_task_tells_everything_and_the_tutorials_pending_is_right(client: Client, tmp_path: Path) -> None:
    awaited = tmp_path / "it is time"
    task = call(client, wait_for, str(awaited))
    before = client.get_task(task)
    assert before["pending"] == "True"
    assert "result" not in before
    with pytest.raises(errors.TaskPending):
        client.get_result(task, timeout=0)
    awaited.touch()
    assert client.get_result(task) == "rested"
    after = client.get_task(task)
    assert (after["status"], after["result"]) == ("success", "rested")
    assert after["pending"] == "False"
    assert abs(after["completion_t"] - time.time()) < scaled(30)
    assert after["details"]["run_time"] > 0
    assert json.loads(json.dumps(after))["pending"] is False


def test_an_exception_is_raised_as_what_it_is_and_get_task_raises_nothing(client: Client) -> None:
    task = call(client, fail, "no such luck")
    with pytest.raises(ValueError, match="no such luck") as raised:
        client.get_result(task)
    assert "raise ValueError(message)" in str(raised.value.__cause__)
    assert "funcledger_endpoint" not in str(raised.value.__cause__), "the traceback is the user's own"
    status = client.get_task(task)
    assert status["status"] == "failed"
    assert isinstance(status["exception"], ValueError)


def test_what_is_not_an_exception_is_named_and_not_raised_as_itself(client: Client) -> None:
    with pytest.raises(errors.TaskExecutionFailed, match="SystemExit: 3"):
        client.get_result(call(client, leave))


def test_a_result_that_cannot_be_serialised_says_what_it_is(client: Client) -> None:
    with pytest.raises(errors.SerializationError, match="generator"):
        client.get_result(call(client, generator))


def test_law_12_arguments_and_results_at_the_limit_pass_and_one_byte_more_is_refused(client: Client) -> None:
    most = PAYLOAD_LIMIT - overhead(lambda data: ((data,), {}))
    sizes = client.register_function(length)
    with pytest.raises(errors.ArgumentsTooLarge, match="5,242,881 bytes"):
        client.run(bytes(most + 1), endpoint_id="lab", function_id=sizes)
    assert client.get_result(client.run(bytes(most), endpoint_id="lab", function_id=sizes)) == most
    most = PAYLOAD_LIMIT - overhead(lambda data: data)
    made = client.register_function(zeros)
    assert len(client.get_result(client.run(most, endpoint_id="lab", function_id=made))) == most
    with pytest.raises(errors.ResultTooLarge, match=r"5242881.*5242880"):
        client.get_result(client.run(most + 1, endpoint_id="lab", function_id=made))


def test_a_batch_in_the_tutorials_form(client: Client) -> None:
    good, bad = client.register_function(tripled), client.register_function(fail)
    batch = client.create_batch()
    for n in range(5):
        batch.add(n, plus=1, endpoint_id="lab", function_id=good)
    batch.add("one of them", endpoint_id="lab", function_id=bad)
    tasks = client.batch_run(batch)
    results = client.get_batch_result(tasks)
    assert list(results) == tasks
    assert [results[task]["result"] for task in tasks[:5]] == [1, 4, 7, 10, 13]
    assert isinstance(results[tasks[5]]["exception"], ValueError)

    def indexes() -> set[int]:
        # They stand in the submissions, which the read models may know a moment after the results.
        return {each["details"]["batch_index"] for each in client.get_batch_result(tasks).values()}

    until_sync(lambda: indexes() == set(range(6)), 10)


def test_a_batch_in_todays_form(client: Client) -> None:
    function = client.register_function(tripled)
    endpoint = client.endpoints.resolve("lab")
    batch = client.create_batch(task_group_id=(group := new_id()))
    for n in range(3):
        batch.add(function, args=(n,), kwargs={"plus": 2})
    answer = client.batch_run("lab", batch)
    assert (answer["task_group_id"], answer["endpoint_id"]) == (group, endpoint)
    tasks = answer["tasks"][function]
    assert client.wait(tasks, timeout=scaled(10)) == (set(tasks), set())
    assert [each["result"] for each in client.get_batch_result(tasks).values()] == [2, 5, 8]
    assert {task["task_id"] for task in client.get_tasks(task_group_id=group)} == set(tasks)


def test_an_empty_batch_is_refused(client: Client) -> None:
    with pytest.raises(errors.InvalidRequest, match="empty"):
        client.batch_run(client.create_batch())


def test_the_endpoints_status_in_both_forms(client: Client) -> None:
    status = client.get_endpoint_status("lab")
    assert status["status"] == "online"
    assert status["logs"][0]["total_workers"] == 2
    assert status["logs"][0]["outstanding_tasks"] >= 0
    details = status["details"]
    assert details["idle_workers"] <= details["total_workers"] == 2
    assert details["cores"] >= 1
    assert details["memory_total"] > 0
    assert [each["uuid"] for each in client.get_endpoints() if each["name"] == "lab"] == [
        status["endpoint_id"]
    ]


def test_an_endpoint_without_an_agent_is_offline_and_its_tasks_can_be_cancelled(client: Client) -> None:
    made = client.register_endpoint("attic", description="nobody there")
    assert client.get_endpoint_status("attic")["status"] == "offline"
    task = client.run(1, endpoint_id="attic", function_id=client.register_function(tripled))
    assert client.get_task(task)["status"] in ("received", "waiting-for-endpoint")
    client.cancel(task)
    with pytest.raises(errors.TaskCancelled):
        client.get_result(task, timeout=scaled(10))
    client.delete_endpoint("attic")
    with pytest.raises(errors.EndpointNotFound):
        client.get_endpoint_status(made["endpoint_id"])


def test_a_running_task_can_be_cancelled(client: Client) -> None:
    task = call(client, nap, 60)
    until_sync(lambda: client.get_task(task)["status"] == "running")
    client.cancel(task)
    assert client.wait([task], timeout=scaled(15)) == ({task}, set())
    assert client.get_task(task)["status"] == "cancelled"


def test_the_history_of_a_task_is_read_from_the_log(client: Client) -> None:
    task = call(client, tripled, 1)
    client.get_result(task)
    history = client.get_task_history(task)
    assert [entry["type"] for entry in history] == ["TaskSubmitted", "TaskStarted", "TaskCompleted"]
    assert all({"topic", "partition", "offset", "timestamp"} <= entry.keys() for entry in history)


def test_calls_are_understood_by_the_keywords_of_the_original_service(client: Client) -> None:
    function = client.register_function(tripled, "three times as much")
    about = client.get_function(function)
    assert (about["name"], about["description"]) == ("tripled", "three times as much")
    batch = client.create_batch()
    batch.add(function_id=function, args=(2,))
    (task,) = client.batch_run(endpoint_id="lab", batch=batch)["tasks"][function]
    assert client.get_batch_result(task_id_list=[task], timeout=scaled(30))[task]["result"] == 6
    lab = client.get_endpoint_metadata(endpoint_uuid="lab")["endpoint_id"]
    assert client.get_endpoint_status(endpoint_uuid=lab)["status"] == "online"


def test_functions_are_found_read_and_deleted(client: Client) -> None:
    source = "def cubed(x):\n    '''Third power.'''\n    return x ** 3\n"
    function = client.register_source_code(source, "cubed", description="third power of a number")
    assert client.get_result(client.run(3, endpoint_id="lab", function_id=function)) == 27
    assert client.get_function(function)["source"] == source
    assert [each["function_id"] for each in client.search_function("third power")] == [function]
    assert function in {each["function_id"] for each in client.get_functions(role="owner")}
    tripled_id = client.register_function(tripled)
    assert client.get_function(tripled_id)["description"] == "Multiply by a global."
    client.share_function(function, user="user1")
    client.unshare_function(function, user="user1")
    client.delete_function(function)
    with pytest.raises(errors.FunctionNotFound, match=function):
        client.run(3, endpoint_id="lab", function_id=function)


def test_ids_that_are_unknown_or_malformed_are_named(client: Client) -> None:
    unknown, function = new_id(), client.register_function(tripled)
    with pytest.raises(errors.TaskNotFound, match=unknown):
        client.get_result(unknown, timeout=scaled(5))
    with pytest.raises(errors.TaskNotFound, match=unknown):
        client.get_batch_result([unknown], timeout=0)
    with pytest.raises(errors.FunctionNotFound, match=unknown):
        client.run(1, endpoint_id="lab", function_id=unknown)
    with pytest.raises(errors.EndpointNotFound, match=unknown):
        client.run(1, endpoint_id=unknown, function_id=function)
    with pytest.raises(errors.EndpointNotFound, match="nowhere"):
        client.run(1, endpoint_id="nowhere", function_id=function)
    with pytest.raises(errors.InvalidRequest, match="task_id is not a UUID: 'abc'"):
        client.get_task("abc")
    with pytest.raises(errors.InvalidRequest, match="function_id is not a UUID"):
        client.run(1, endpoint_id="lab", function_id="tripled")


def test_arguments_that_cannot_be_serialised_are_named_before_anything_is_sent(client: Client) -> None:
    function = client.register_function(length)
    before = len(client.get_tasks(limit=1000))
    with pytest.raises(errors.SerializationError, match=r"argument 'data' \(at \['rows'\]\)"):
        client.run(endpoint_id="lab", function_id=function, data={"rows": (n for n in range(3))})
    assert len(client.get_tasks(limit=1000)) == before


def test_another_user_sees_nothing_of_it(running: Running, client: Client) -> None:
    task = call(client, tripled, 1)
    with running.client(running.other_token) as bob, pytest.raises(errors.TaskNotFound):
        bob.get_task(task)


def test_a_wrong_token_and_a_forgotten_one_are_said_plainly(running: Running) -> None:
    with running.client("flu_" + "x" * 43) as stranger, pytest.raises(errors.Unauthenticated):
        stranger.get_endpoints()
    with running.client() as client:
        assert client.version_check()["server"]
        client.logout()
        with pytest.raises(errors.Unauthenticated):
            client.get_endpoints()


async def test_the_client_works_beside_an_event_loop(client: Client) -> None:
    task = await asyncio.to_thread(call, client, tripled, 4)
    assert await asyncio.to_thread(client.get_result, task) == 12
