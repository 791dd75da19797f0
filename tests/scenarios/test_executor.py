"""The executor keeps what concurrent.futures promises, against all real parts."""

import asyncio
import concurrent.futures
import functools
import multiprocessing
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.axes import Running
from tests.support.deadlines import scaled
from tests.support.forking import forked
from tests.support.poll import until_sync

from funcledger import Client, Executor, errors
from funcledger_schemas.ids import new_id


def squared(x: int) -> int:
    return x * x


def fail(message: str) -> None:
    raise LookupError(message)


def nap(seconds: float) -> float:
    time.sleep(seconds)
    return seconds


def sent(executor: Executor) -> None:
    """Return when the server has been told of all that was submitted."""
    assert executor._sender is not None
    assert executor._sender.flush(10)


@pytest.fixture(scope="module")
def client(running: Running) -> Iterator[Client]:
    with running.client() as made:
        yield made


@pytest.fixture
def executor(client: Client) -> Iterator[Executor]:
    with Executor("lab", client) as made:
        yield made


def test_submit_map_wait_and_as_completed(executor: Executor) -> None:
    assert isinstance(executor, concurrent.futures.Executor)
    futures = [executor.submit(squared, n) for n in range(300)]
    done, not_done = concurrent.futures.wait(futures, timeout=scaled(30))
    assert (len(done), len(not_done)) == (300, 0)
    assert [future.result() for future in futures] == [n * n for n in range(300)]
    assert len({future.task_id for future in futures}) == 300
    assert list(executor.map(squared, range(5), timeout=scaled(30))) == [0, 1, 4, 9, 16]
    completed = concurrent.futures.as_completed([executor.submit(squared, 7)], timeout=scaled(30))
    assert [future.result() for future in completed] == [49]


def test_an_exception_is_the_original_with_the_remote_traceback_as_its_cause(executor: Executor) -> None:
    future = executor.submit(fail, "nothing there")
    with pytest.raises(LookupError, match="nothing there") as raised:
        future.result(timeout=scaled(30))
    assert isinstance(raised.value.__cause__, errors.RemoteTraceback)
    assert isinstance(future.exception(), LookupError)


def test_a_function_is_registered_once_and_a_registered_one_can_be_called(
    client: Client, executor: Executor
) -> None:
    before = len(client.get_functions())
    concurrent.futures.wait([executor.submit(squared, n) for n in range(20)], timeout=scaled(30))
    assert len(client.get_functions()) == before + 1
    function = executor.register_function(squared)
    future = executor.submit_to_registered_function(function, (5,))
    assert future.result(timeout=scaled(30)) == 25


def test_what_cannot_be_serialised_is_refused_by_submit_itself(executor: Executor) -> None:
    with pytest.raises(errors.SerializationError, match="argument 1"):
        executor.submit(squared, (n for n in ()))  # type: ignore[var-annotated]
    lines = iter("abc")
    generator = (line for line in lines)
    with pytest.raises(errors.SerializationError, match=r"the function <lambda>.*'generator'"):
        executor.submit(lambda: next(generator))


def test_a_refused_call_fails_only_its_own_future(executor: Executor) -> None:
    """Also where they went out in one request."""
    unknown = new_id()
    held = threading.Event()
    executor.submit(squared, 0).add_done_callback(lambda _: held.wait(scaled(5)))
    good = [executor.submit(squared, n) for n in range(10)]
    bad = executor.submit_to_registered_function(unknown, (1,))
    good += [executor.submit(squared, n) for n in range(10)]
    held.set()
    with pytest.raises(errors.FunctionNotFound, match=unknown):
        bad.result(timeout=scaled(30))
    assert [future.result(timeout=scaled(30)) for future in good] == [n * n for n in range(10)] * 2


def test_cancelling_a_running_task_asks_and_the_future_ends_cancelled(executor: Executor) -> None:
    future = executor.submit(nap, 60)
    sent(executor)
    until_sync(lambda: executor.client.get_task(future.task_id)["status"] == "running", 10.0)
    assert future.cancel() is False
    with pytest.raises(concurrent.futures.CancelledError):
        future.result(timeout=scaled(20))
    assert future.cancelled()
    assert executor.submit(squared, 3).result(timeout=scaled(30)) == 9


def test_cancelling_what_was_not_sent_returns_true(client: Client) -> None:
    """The sender is held up by a function that cannot be registered while the next call waits behind it."""
    executor = Executor("lab", client)
    assert executor.submit(squared, 1).result(timeout=scaled(30)) == 1
    assert executor._sender is not None
    entered, go_on = threading.Event(), threading.Event()
    send = executor._sender._submit

    def slowly(submissions: object) -> None:
        entered.set()
        go_on.wait(scaled(10))
        send(submissions)  # type: ignore[arg-type]

    executor._sender._submit = slowly  # type: ignore[method-assign]
    first = executor.submit(squared, 2)
    entered.wait(scaled(10))
    unsent = executor.submit(squared, 3)
    assert unsent.cancel() is True
    go_on.set()
    assert first.result(timeout=scaled(30)) == 4
    executor.shutdown()
    assert unsent.cancelled()
    with pytest.raises(errors.TaskNotFound):
        client.get_task(unsent.task_id)


def test_shutdown_waits_refuses_and_can_cancel(client: Client) -> None:
    executor = Executor("lab", client)
    futures = [executor.submit(nap, 0.05) for _ in range(4)]
    executor.shutdown()
    assert all(future.done() for future in futures)
    with pytest.raises(RuntimeError, match="after shutdown"):
        executor.submit(squared, 1)
    executor = Executor("lab", client)
    futures = [executor.submit(nap, 30) for _ in range(4)]
    began = time.monotonic()
    executor.shutdown(cancel_futures=True)
    assert time.monotonic() - began < scaled(20)
    assert all(future.cancelled() for future in futures)


def test_nothing_is_left_running_after_shutdown(running: Running) -> None:
    before = set(threading.enumerate())
    with running.client() as client, Executor("lab", client) as executor:
        assert executor.submit(squared, 2).result(timeout=scaled(30)) == 4
    until_sync(lambda: {t for t in set(threading.enumerate()) - before if "funcledger" in t.name} == set())


async def test_futures_can_be_awaited(executor: Executor) -> None:
    futures = [asyncio.wrap_future(executor.submit(squared, n)) for n in range(10)]
    assert await asyncio.wait_for(asyncio.gather(*futures), scaled(30)) == [n * n for n in range(10)]
    with pytest.raises(LookupError):
        await asyncio.wrap_future(executor.submit(fail, "awaited"))


def test_tasks_of_a_group_are_taken_up_by_another_executor(client: Client) -> None:
    with Executor("lab", client) as first:
        futures = [first.submit(squared, n) for n in range(3)]
        running = first.submit(nap, 0.3)
        sent(first)
        with Executor("lab", client) as second:
            reloaded = {future.task_id: future for future in second.reload_tasks(first.task_group_id)}
            assert list(reloaded) == [future.task_id for future in (*futures, running)]
            assert [reloaded[future.task_id].result(timeout=scaled(30)) for future in futures] == [0, 1, 4]
            assert reloaded[running.task_id].result(timeout=scaled(30)) == 0.3


def test_a_walltime_ends_the_task_with_its_own_error(client: Client) -> None:
    with Executor("lab", client, walltime=0.2, max_attempts=1) as executor:
        future = executor.submit(nap, 30)
        assert isinstance(future.exception(timeout=scaled(20)), errors.WalltimeExceeded)


def test_a_script_that_just_ends_has_still_submitted(
    running: Running, client: Client, tmp_path: Path
) -> None:
    """So have its exit handlers, but for one that runs when the last calls are gone: that one is refused."""
    script = tmp_path / "script.py"
    script.write_text(
        textwrap.dedent("""
        import atexit
        @atexit.register
        def too_late():
            try:
                executor.submit(double, 23)
            except RuntimeError as refused:
                print(refused)
        from funcledger import Executor
        def double(x): return 2 * x
        executor = Executor("lab")
        print(executor.submit(double, 21).task_id)
        atexit.register(lambda: print(executor.submit(double, 22).task_id))
        """)
    )
    environment = {"FUNCLEDGER_URL": running.url, "FUNCLEDGER_TOKEN": running.token}
    ran = subprocess.run(
        [sys.executable, "-W", "error", script],
        env=environment, capture_output=True, text=True, timeout=scaled(60), check=True,
    )  # fmt: skip
    assert ran.stderr == ""
    submitted, at_exit, refused = ran.stdout.splitlines()
    assert client.get_result(submitted, timeout=scaled(20)) == 42
    assert client.get_result(at_exit, timeout=scaled(20)) == 44
    assert "cannot submit at the program's end" in refused


def test_an_executor_without_an_endpoint_or_with_an_unknown_one_says_so(client: Client) -> None:
    with Executor(client=client) as executor, pytest.raises(errors.InvalidRequest, match="no endpoint"):
        executor.submit(squared, 1)
    with Executor("nowhere", client) as executor, pytest.raises(errors.EndpointNotFound, match="nowhere"):
        executor.submit(squared, 1)


@pytest.mark.law(14)
@pytest.mark.fault(31)
def test_forked_children_submit_and_read_what_the_parent_submitted(
    client: Client, executor: Executor
) -> None:
    """Each answer is its own, in every process; a child that shuts down ends nothing of the parent."""
    early = [executor.submit(squared, n) for n in range(20)]
    assert [future.result(scaled(30)) for future in early] == [n * n for n in range(20)]
    naps = [executor.submit(nap, seconds) for seconds in (0.2, 0.3)]

    def child(number: int) -> tuple[list[float], list[float], set[int]]:
        own = [executor.submit(squared, number * 100 + n) for n in range(20)]
        read = [client.get_result(future.task_id) for future in early]
        executor.shutdown()
        done, _ = concurrent.futures.wait(naps, scaled(30))
        return read, sorted(future.result() for future in done), {future.result() for future in own}

    answers = [forked(functools.partial(child, number)) for number in range(4)]
    assert [future.result(scaled(30)) for future in naps] == [0.2, 0.3]
    assert executor.submit(squared, 3).result(scaled(30)) == 9
    for number, answer in enumerate(answers):
        own = {(number * 100 + n) ** 2 for n in range(20)}
        assert answer() == ([n * n for n in range(20)], [0.2, 0.3], own)


@pytest.mark.fault(31, 36)
@pytest.mark.filterwarnings(
    "ignore:This process:DeprecationWarning"
)  # fork beside threads: what this is about
def test_a_child_of_multiprocessing_that_just_ends_has_still_submitted(
    client: Client, executor: Executor
) -> None:
    fork = multiprocessing.get_context("fork")
    reading, writing = fork.Pipe(duplex=False)

    def child() -> None:
        writing.send([executor.submit(squared, n).task_id for n in range(20)])

    process = fork.Process(target=child)
    process.start()
    process.join(scaled(20))
    assert process.exitcode == 0
    found = [client.get_result(task_id, timeout=scaled(20)) for task_id in reading.recv()]
    assert found == [n * n for n in range(20)]
    reading.close()
    writing.close()
