"""A full backlog makes clients wait, and nobody fails: over real sockets, with real agents."""

import threading
import time

import pytest
from tests.support.poll import until_sync
from tests.support.service import Service, service

from funcledger import Client, Executor, errors

LIMIT = 20


def add(a: int, b: int = 1) -> int:
    return a + b


def waits(thread: threading.Thread, seconds: float) -> bool:
    thread.join(seconds)
    return thread.is_alive()


def test_an_executor_with_far_more_tasks_than_fit_gets_every_value() -> None:
    with service(backlog=LIMIT) as running, running.client() as client, running.endpoint():
        began = time.monotonic()
        with Executor("lab", client, batch_size=LIMIT) as executor:
            futures = [executor.submit(add, n) for n in range(6 * LIMIT)]
            assert time.monotonic() - began < 5.0  # submitting itself does not wait
            assert [future.result(60) for future in futures] == [n + 1 for n in range(6 * LIMIT)]
        submitted = [task["task_id"] for task in client.get_tasks(limit=1000)]
        assert len(set(submitted)) == len(submitted) == 6 * LIMIT


def fill(running: Service, client: Client) -> tuple[str, str]:
    """An endpoint that is away, with as many tasks as it may have; its id and credential."""
    made = client.register_endpoint("lab")
    function = client.register_function(add)
    batch = client.create_batch()
    for n in range(LIMIT):
        batch.add(n, endpoint_id=made["endpoint_id"], function_id=function)
    client.batch_run(batch)
    return made["credential"], function


def test_run_waits_until_the_endpoint_is_back() -> None:
    with service(backlog=LIMIT) as running, running.client() as client:
        credential, function = fill(running, client)
        tasks: list[str] = []

        def run() -> None:
            tasks.append(client.run(41, endpoint_id="lab", function_id=function))

        thread = threading.Thread(target=run)
        thread.start()
        assert waits(thread, 1.5)
        assert len(client.get_tasks(limit=1000)) == LIMIT
        with running.agent(credential):
            thread.join(30)
            assert client.get_result(tasks[0], timeout=30) == 42


def test_a_client_with_a_room_timeout_is_told_in_time_what_is_full() -> None:
    with service(backlog=LIMIT) as running, running.client() as client:
        _, function = fill(running, client)
        hasty = Client(client.transport.server.url, client.transport.server.token, room_timeout=0.5)
        with hasty, pytest.raises(errors.BacklogFull, match=r"20 unfinished tasks, the limit is 20"):
            hasty.run(1, endpoint_id="lab", function_id=function)
        assert len(client.get_tasks(limit=1000)) == LIMIT


def test_cancelling_reaches_the_server_while_more_tasks_wait_for_room() -> None:
    """The endpoint is away, so the keeper ends them; that makes room for those behind."""
    with service(backlog=LIMIT) as running, running.client() as client:
        client.register_endpoint("lab")
        executor = Executor("lab", client, batch_size=LIMIT)
        first = [executor.submit(add, n) for n in range(LIMIT)]
        until_sync(lambda: len(client.get_tasks(limit=1000)) == LIMIT, 20.0)
        later = [executor.submit(add, n) for n in range(3)]
        sender = executor._sender
        assert sender is not None
        until_sync(lambda: {future.task_id for future in later} & sender._under_way, 20.0)
        assert not first[0].cancel()  # it has been sent, so the server is asked
        until_sync(lambda: first[0].done(), 30.0)
        assert first[0].cancelled()
        until_sync(lambda: len(client.get_tasks(limit=1000)) == LIMIT + 3, 30.0)
        executor.shutdown(wait=False, cancel_futures=True)
        until_sync(lambda: all(future.done() for future in (*first, *later)), 60.0)
