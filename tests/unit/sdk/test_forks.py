"""A child shares no connection, thread or lock with its parent, and does not end what is the parent's."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from tests.support.forking import in_child
from tests.support.scripted import Reply, scripted

from funcledger import Client, Executor
from funcledger.futures import TaskFuture
from funcledger.local_functions import LocalFunctions
from funcledger.settings import Server
from funcledger.transport import Transport
from funcledger_payloads import dump, load, with_dill
from funcledger_payloads.by_value import _making
from funcledger_schemas.ids import new_id

pytestmark = [pytest.mark.law(14), pytest.mark.fault(31)]


@contextmanager
def held(take: Callable[[], object], leave: Callable[[], object]) -> Iterator[None]:
    """By a thread that a child does not have."""
    taken, enough = threading.Event(), threading.Event()

    def hold() -> None:
        take()
        taken.set()
        enough.wait()
        leave()

    thread = threading.Thread(target=hold)
    thread.start()
    taken.wait()
    try:
        yield
    finally:
        enough.set()
        thread.join()


def test_parent_and_child_each_have_a_connection_of_their_own() -> None:
    peers: list[str] = []

    def answer(asked: object, _: int) -> Reply:
        peers.append(asked.peer)  # type: ignore[attr-defined]
        return Reply()

    def child() -> None:
        transport.get("/v1/in-the-child")
        transport.close()

    with scripted(answer) as server:
        transport = Transport(Server(server.url, "flu_x"))
        transport.get("/v1/before")
        in_child(child)
        transport.get("/v1/after")
        transport.close()
    assert peers[0] == peers[2] != peers[1]


def test_a_child_of_a_child_is_served_and_what_was_closed_stays_closed() -> None:
    with scripted(lambda *_: Reply()) as server:
        transport = Transport(Server(server.url, "flu_x"))
        assert in_child(lambda: in_child(lambda: transport.get("/v1/x"))) == {}
        transport.close()
        with pytest.raises(Exception, match="closed"):
            in_child(lambda: transport.get("/v1/x"))


def test_locks_that_threads_of_the_parent_hold_stop_no_child() -> None:
    client = Client("http://127.0.0.1:9", "flu_x", patience=0.0)
    executor = Executor(new_id(), client)
    seen, functions = client.transport.seen, LocalFunctions()
    seen.merge("tasks:0:1")
    locks: list[Any] = [seen._lock, functions._lock, executor._opening, executor._all_done]

    def child() -> str:
        seen.merge("tasks:0:2")
        functions.of(lambda: 5)
        executor.shutdown()
        return seen.token

    with held(lambda: [lock.acquire() for lock in locks], lambda: [lock.release() for lock in locks]):
        assert in_child(child) == "tasks:0:2"


@pytest.mark.parametrize("lock", [_making, with_dill._one_at_a_time])
def test_a_fork_waits_for_who_makes_a_class_or_writes_with_dill(lock: Any) -> None:
    """What these hold for a moment is not whole, so that no new lock would help."""
    done: list[int] = []

    def value() -> int:
        made: int = load(*dump(type("Point", (), {"x": 1})))().x
        return made + int(load(*dump(lambda: 5, serializer="dill"))())

    with held(lock.acquire, lock.release):
        forking = threading.Thread(target=lambda: done.append(in_child(value)))
        forking.start()
        forking.join(0.05)
        assert not done
    forking.join()
    assert done == [6]


def test_an_executor_in_a_child_has_nothing_to_wait_for_and_cancels_nothing_of_its_parent() -> None:
    executor = Executor(new_id(), Client("http://127.0.0.1:9", "flu_x", patience=0.0))
    waiting = TaskFuture(new_id(), lambda _: None)
    executor._futures[waiting.task_id] = waiting

    def child() -> bool:
        executor.shutdown(cancel_futures=True)
        return vars(waiting)["_was_cancelled"] or waiting.has_ended

    assert in_child(child) is False
    assert not waiting.done()


def test_futures_of_the_parent_end_with_the_reason_where_a_child_cannot_read_them() -> None:
    """And say so to who waits for them in any way; callbacks that the parent has added are the parent's."""
    called: list[object] = []
    executor = Executor(new_id(), Client("http://127.0.0.1:9", "flu_x", patience=0.0))
    with scripted(lambda *_: Reply(401)) as server:
        executor.client.transport.server = Server(server.url, "flu_x")
        waiting, settling = (TaskFuture(new_id(), lambda _: None) for _ in range(2))
        executor._futures[waiting.task_id] = waiting
        executor._settling = settling
        waiting.add_done_callback(called.append)

        def child() -> tuple[str, str, list[object]]:
            return str(waiting.exception(10)), str(settling.exception(10)), called

        with held(waiting._condition.acquire, waiting._condition.release):
            first, second, callbacks = in_child(child)
    assert first == second
    assert "401" in first
    assert not callbacks
    assert not called
