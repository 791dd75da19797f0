"""A full backlog makes clients wait, and nobody fails: over real sockets, with real agents."""

import threading
import time
from collections.abc import Iterator

import pytest
from tests.support import axes
from tests.support.axes import Running
from tests.support.deadlines import scaled
from tests.support.poll import until_sync

from funcledger import Client, Executor, errors

LIMIT = 20


@pytest.fixture(scope="module")
def narrow(axis: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A deployment with little room; each test has an endpoint of its own there."""
    with axes.running_with_backlog(axis, tmp_path_factory.mktemp("narrow"), LIMIT) as deployment:
        yield deployment


@pytest.fixture
def client(narrow: Running) -> Iterator[Client]:
    with narrow.client() as made:
        yield made


def add(a: int, b: int = 1) -> int:
    return a + b


def waits(thread: threading.Thread, seconds: float) -> bool:
    thread.join(seconds)
    return thread.is_alive()


def count(client: Client, name: str) -> int:
    """The tasks of an endpoint, as its user sees them."""
    return len({task["task_id"] for task in client.get_tasks(endpoint_id=name, limit=1000)})


def test_an_executor_with_far_more_tasks_than_fit_gets_every_value(narrow: Running, client: Client) -> None:
    with narrow.endpoint("busy"):
        began = time.monotonic()
        with Executor("busy", client, batch_size=LIMIT) as executor:
            futures = [executor.submit(add, n) for n in range(6 * LIMIT)]
            assert time.monotonic() - began < scaled(5.0)  # submitting itself does not wait
            assert [future.result(scaled(60)) for future in futures] == [n + 1 for n in range(6 * LIMIT)]
        submitted = [task["task_id"] for task in client.get_tasks(endpoint_id="busy", limit=1000)]
        assert len(set(submitted)) == len(submitted) == 6 * LIMIT


def fill(client: Client, name: str) -> tuple[str, str]:
    """An endpoint that is away, with as many tasks as it may have; its credential, and a function's id."""
    made = client.register_endpoint(name)
    function = client.register_function(add)
    batch = client.create_batch()
    for n in range(LIMIT):
        batch.add(n, endpoint_id=made["endpoint_id"], function_id=function)
    client.batch_run(batch)
    return made["credential"], function


def test_run_waits_until_the_endpoint_is_back(narrow: Running, client: Client) -> None:
    credential, function = fill(client, "back")
    tasks: list[str] = []

    def run() -> None:
        tasks.append(client.run(41, endpoint_id="back", function_id=function))

    thread = threading.Thread(target=run)
    thread.start()
    assert waits(thread, 1.5)
    assert count(client, "back") == LIMIT
    with narrow.agent("back", credential):
        thread.join(scaled(30))
        assert client.get_result(tasks[0], timeout=scaled(30)) == 42


def test_a_client_with_a_room_timeout_is_told_in_time_what_is_full(client: Client) -> None:
    _, function = fill(client, "full")
    hasty = Client(client.transport.server.url, client.transport.server.token, room_timeout=0.5)
    with hasty, pytest.raises(errors.BacklogFull, match=r"20 unfinished tasks, the limit is 20"):
        hasty.run(1, endpoint_id="full", function_id=function)
    assert count(client, "full") == LIMIT


def test_cancelling_reaches_the_server_while_more_tasks_wait_for_room(client: Client) -> None:
    """The endpoint is away, so the keeper ends them; that makes room for those behind."""
    client.register_endpoint("away")
    executor = Executor("away", client, batch_size=LIMIT)
    first = [executor.submit(add, n) for n in range(LIMIT)]
    until_sync(lambda: count(client, "away") == LIMIT, 20.0)
    later = [executor.submit(add, n) for n in range(3)]
    sender = executor._sender
    assert sender is not None
    until_sync(lambda: {future.task_id for future in later} & sender._under_way, 20.0)
    # They have been sent, so the server is asked. As many as come later, which may go in several requests.
    assert not any(future.cancel() for future in first[:3])
    until_sync(lambda: all(future.done() for future in first[:3]), 30.0)
    assert all(future.cancelled() for future in first[:3])
    until_sync(lambda: count(client, "away") == LIMIT + 3, 30.0)
    executor.shutdown(wait=False, cancel_futures=True)
    until_sync(lambda: all(future.done() for future in (*first, *later)), 60.0)
