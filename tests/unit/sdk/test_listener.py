"""One stream carries the results of all batches of a client, which join and leave it while it is open."""

import asyncio
import gc
import json
import threading
import weakref
from collections.abc import Iterator

import pytest
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send
from tests.support.apps import ADA
from tests.support.poll import until, until_sync
from tests.support.queries import Task, query_side
from tests.support.scripted import Asked, Reply, scripted
from tests.support.server import serving

from funcledger import Client, Executor, errors
from funcledger.listener import Follower, Listener
from funcledger.results import Answer
from funcledger.settings import Server
from funcledger.transport import Transport
from funcledger_schemas.frames import KEEP_ALIVE
from funcledger_schemas.ids import new_id


def _threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("funcledger")]


def _as_older(app: ASGIApp) -> ASGIApp:
    """A server that knows streams of the batches that their address names alone."""
    no_such_method = JSONResponse({"type": "urn:funcledger:problem:method-not-allowed"}, 405)

    async def older(scope: Scope, receive: Receive, send: Send) -> None:
        refused = scope["type"] == "http" and scope["method"] == "POST" and "/stream" in scope["path"]
        await (no_such_method if refused else app)(scope, receive, send)

    return older


@pytest.mark.parametrize("older", [False, pytest.param(True, marks=pytest.mark.attack(6))])
async def test_batches_of_one_client_share_a_stream_that_ends_with_the_last(older: bool) -> None:
    async with (
        query_side() as side,
        serving(_as_older(side.app) if older else side.app, side.side.close_streams) as url,
    ):
        first, second, late = Task(), Task(), Task()
        transport = Transport(Server(url, ADA))
        listener = Listener(transport)
        got: dict[str, list[Answer]] = {task.batch_id: [] for task in (first, second, late)}

        def follow(task: Task) -> int:
            follower = Follower(
                task.batch_id, got[task.batch_id].extend, lambda error: pytest.fail(str(error))
            )
            return listener.follow(follower)

        async def finish(task: Task) -> None:
            await side.append(task.submitted())
            await side.append(task.begun(), task.completed(b"42"))

        await finish(first)
        await side.project()
        numbers = [follow(first), follow(second)]
        await finish(second)
        await side.project()
        await until(lambda: all(got[task.batch_id] for task in (first, second)))
        await finish(late)
        await side.project()
        numbers.append(follow(late))  # the stream is open, and has passed this one's outcome
        await until(lambda: bool(got[late.batch_id]))
        if older:  # there the stream ends, and another begins, when a batch joins
            await until(lambda: side.side.feed.subscribers == 1)
        assert side.side.feed.subscribers == 1
        told = {batch: [task["task_id"] for task, _ in answers] for batch, answers in got.items()}
        if older:  # each new stream tells all again
            told = {batch: list(dict.fromkeys(tasks)) for batch, tasks in told.items()}
        assert told == {task.batch_id: [task.task_id] for task in (first, second, late)}
        for number in numbers:
            listener.leave(number)
        await until(lambda: side.side.feed.subscribers == 0)
        await asyncio.to_thread(until_sync, lambda: not _threads())
        transport.close()


@pytest.fixture
def silent() -> Iterator[Client]:
    """A client of a server whose streams bring nothing."""

    endpoint = {"name": "lab", "status": "offline", "last_seen": 1_000}

    def answer(asked: Asked, _: int) -> Reply:
        if asked.path.endswith("stream"):
            return Reply(pieces=[KEEP_ALIVE] * 3)
        return Reply(body=json.dumps(endpoint if asked.path.startswith("/v1/endpoints/") else {}).encode())

    with scripted(answer) as server, Client(server.url, "flu_x", patience=0.1) as client:
        yield client


def test_an_executor_that_is_dropped_ends_and_one_that_has_work_does_not(silent: Client) -> None:
    executor = Executor(new_id(), silent)
    future = executor.submit_to_registered_function(new_id())
    del executor
    gc.collect()
    assert silent.listener._followers, "its call is still to come"
    (follower,) = silent.listener._followers.values()
    task = {"task_id": future.task_id, "endpoint_id": future.endpoint_id, "batch_id": follower.batch_id}
    follower.deliver([({**task, "status": "cancelled"}, b"")])
    assert future.cancelled()
    until_sync(lambda: not _threads())


@pytest.mark.fault(36)
def test_a_thousand_executors_that_are_dropped_leave_nothing(silent: Client) -> None:
    endpoint, function = new_id(), new_id()
    made: list[weakref.ref[Executor]] = []

    def call_and_drop() -> None:
        executor = Executor(endpoint, silent)
        future = executor.submit_to_registered_function(function)
        followers = list(silent.listener._followers.values())
        (follower,) = (one for one in followers if one.batch_id == executor.task_group_id)
        task = {"task_id": future.task_id, "endpoint_id": endpoint, "batch_id": follower.batch_id}
        follower.deliver([({**task, "status": "cancelled"}, b"")])
        made.append(weakref.ref(executor))

    for _ in range(1000):
        call_and_drop()
    gc.collect()
    until_sync(lambda: not _threads())
    assert [left for ref in made if (left := ref()) is not None] == []
    assert silent.listener._followers == {}


def test_a_closed_client_says_so_to_who_waits_and_to_who_asks(silent: Client) -> None:
    future = Executor(new_id(), silent).submit_to_registered_function(new_id())
    silent.close()
    with pytest.raises(errors.ClientClosed, match="make a new Client"):
        future.result(5)
    with pytest.raises(errors.ClientClosed):
        silent.get_tasks()
    with pytest.raises(errors.ClientClosed):
        Executor(new_id(), silent).submit_to_registered_function(new_id())


def test_who_waits_for_an_endpoint_that_is_offline_is_told_so_once(
    silent: Client, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("funcledger.listener._LOOK", 0.0)
    executor = Executor(new_id(), silent)
    executor.submit_to_registered_function(new_id())
    until_sync(lambda: "1 call waits until its agent is started" in caplog.text)
    assert "endpoint lab is offline and was last seen" in caplog.text
    looked = len(caplog.records)
    until_sync(lambda: executor._heard is False)
    executor._look()
    assert len(caplog.records) == looked


@pytest.mark.attack(18)
def test_who_waits_for_a_limit_is_told_which(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A request and a stream, both beyond what a user may have open at once."""
    monkeypatch.setattr("funcledger.waiting_notice.FIRST_WORD", 0.3)
    limit = "You have 200 streams and waits open, which is the limit."
    problem = json.dumps({"type": "urn:funcledger:problem:too-many-requests", "detail": limit}).encode()
    with (
        scripted(lambda *_: Reply(429, problem)) as server,
        Client(server.url, "flu_x", room_timeout=1.0) as client,
    ):
        with pytest.raises(errors.TooManyRequests):
            client.get_tasks()
        assert f"and trying again: {limit}" in caplog.text
        with (
            Client(server.url, "flu_x") as patient,
            pytest.raises(errors.TooManyRequests, match="200 streams and waits"),
        ):
            patient.get_result(new_id(), timeout=0.1)
        caplog.clear()
        client.listener.follow(Follower(new_id(), lambda _: None, lambda _: None))
        until_sync(lambda: f"and trying again: {limit}" in caplog.text)


def test_executors_without_a_client_share_one_that_ends_with_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with scripted(lambda *_: Reply()) as server:
        monkeypatch.setenv("FUNCLEDGER_URL", server.url)
        monkeypatch.setenv("FUNCLEDGER_TOKEN", "flu_x")
        first, second = Executor(new_id()), Executor(new_id())
        assert second.client is first.client
        monkeypatch.setenv("FUNCLEDGER_TOKEN", "flu_another")
        assert Executor(new_id()).client is not first.client
        first.client.close()
        monkeypatch.setenv("FUNCLEDGER_TOKEN", "flu_x")
        third = Executor(new_id())
        assert third.client is not first.client, "that one was closed"
        transport = third.client.transport
        del third
        gc.collect()
        assert transport.closed
