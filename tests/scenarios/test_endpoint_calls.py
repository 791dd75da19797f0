"""What comes back from an endpoint: values, exceptions, and each thing that can go wrong with one call."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from tests.support.endpoint import Endpoint
from tests.support.poll import until

from funcledger_endpoint.settings import AgentSettings
from funcledger_payloads import ExceptionPayload, load_exception
from funcledger_schemas.events import TaskCompleted, TaskFailed, TaskStarted
from funcledger_schemas.limits import PAYLOAD_LIMIT


def square(number: float) -> float:
    return number * number


def divide(number: float) -> float:
    return 1 / number


def quit_with(code: int) -> None:
    import sys

    sys.exit(code)


def interrupt(_: object) -> None:
    raise KeyboardInterrupt


def generator(_: object) -> Iterator[int]:
    return (n for n in range(3))


def zeros(size: int) -> bytes:
    return bytes(size)


def unpicklable_error(_: object) -> None:
    raise ValueError("it holds a generator", (n for n in range(3)))


def endless(_: object) -> None:
    while True:
        pass


def stubborn(_: object) -> None:
    import signal

    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    while True:
        pass


def shout(text: str) -> int:
    import os

    print(text)
    os.write(1, b"and past Python\n")
    return len(text)


def deep(depth: int) -> object:
    return deep(depth - 1)


async def test_values_come_back_with_what_they_cost(endpoint: Endpoint) -> None:
    async with endpoint.agent():
        task_id = await endpoint.submit(square, 12)
        event = await endpoint.outcome(task_id)
        assert await endpoint.value(task_id) == 144
    assert isinstance(event, TaskCompleted)
    assert event.attempt == 1
    assert event.run_time is not None
    assert 0 <= event.run_time < 1
    assert event.cpu_time is not None
    assert event.cpu_time >= 0
    assert event.peak_memory is not None
    assert event.peak_memory > 5_000_000
    assert await endpoint.story(task_id) == ["TaskStarted", "TaskCompleted"]


async def test_an_exception_comes_back_as_itself_with_its_traceback_and_is_not_retried(
    endpoint: Endpoint,
) -> None:
    async with endpoint.agent():
        task_id = await endpoint.submit(divide, 0)
        event = await endpoint.outcome(task_id)
    assert isinstance(event, TaskFailed)
    assert (event.kind, event.error_type) == ("Exception", "ZeroDivisionError")
    assert event.traceback is not None
    assert event.error_type is not None
    assert "return 1 / number" in event.traceback
    assert "funcledger_endpoint" not in event.traceback
    error = load_exception(
        ExceptionPayload(
            event.error_type, event.message, event.traceback, event.payload_format, event.payload
        )
    )
    assert isinstance(error, ZeroDivisionError)
    assert await endpoint.story(task_id) == ["TaskStarted", "TaskFailed"]


@pytest.mark.parametrize(
    ("function", "argument", "kind", "error_type", "says"),
    [
        (quit_with, 3, "Exception", "SystemExit", "3"),
        (interrupt, 0, "Exception", "KeyboardInterrupt", ""),
        (generator, 0, "ResultNotSerializable", None, "generator"),
        (zeros, PAYLOAD_LIMIT + 1, "ResultTooLarge", None, str(PAYLOAD_LIMIT)),
        (unpicklable_error, 0, "Exception", "ValueError", "it holds a generator"),
        (deep, 1, "Exception", "RecursionError", "recursion"),
    ],
)
async def test_each_thing_that_can_go_wrong_says_so_and_the_worker_lives(
    endpoint: Endpoint,
    function: Callable[..., Any],
    argument: object,
    kind: str,
    error_type: str | None,
    says: str,
) -> None:
    async with endpoint.agent(1):
        event = await endpoint.outcome(await endpoint.submit(function, argument))
        assert await endpoint.value(await endpoint.submit(square, 3)) == 9
    assert isinstance(event, TaskFailed)
    assert (event.kind, event.error_type) == (kind, error_type)
    assert says in event.message
    if error_type != "RecursionError":
        assert (event.payload_format, event.payload) == (None, b"")
    if kind == "ResultTooLarge":
        assert any(
            int(word.strip(",:")) > PAYLOAD_LIMIT for word in event.message.split() if word[0].isdigit()
        )
    assert not any("WorkerDied" in str(event) for event in await endpoint.results())


async def test_a_result_at_the_limit_comes_back(endpoint: Endpoint) -> None:
    async with endpoint.agent(1):
        overhead = len((await endpoint.outcome(await endpoint.submit(zeros, 1 << 20))).payload) - (1 << 20)
        event = await endpoint.outcome(await endpoint.submit(zeros, PAYLOAD_LIMIT - overhead))
    assert isinstance(event, TaskCompleted)
    assert len(event.payload) == PAYLOAD_LIMIT


@pytest.mark.parametrize("function", [endless, stubborn])
async def test_a_call_over_its_walltime_is_ended_and_not_retried(
    endpoint: Endpoint, function: Callable[..., Any]
) -> None:
    async with endpoint.agent(1):
        task_id = await endpoint.submit(function, 0, walltime=0.2)
        event = await endpoint.outcome(task_id)
        assert await endpoint.value(await endpoint.submit(square, 3)) == 9
    assert event.kind == "WalltimeExceeded"
    assert "0.2" in event.message
    assert await endpoint.story(task_id) == ["TaskStarted", "TaskFailed"]


async def test_a_queued_task_is_cancelled_at_once_and_a_running_one_is_ended(endpoint: Endpoint) -> None:
    async with endpoint.agent(1):
        running = await endpoint.submit(endless, 0)
        queued = await endpoint.submit(square, 2)
        await until(lambda: endpoint.story(running))
        await endpoint.cancel(queued)
        assert type(await endpoint.outcome(queued)).__name__ == "TaskCancelled"
        await endpoint.cancel(running)
        await endpoint.outcome(running)
        assert await endpoint.value(await endpoint.submit(square, 3)) == 9
    assert await endpoint.story(queued) == ["TaskCancelled"]
    assert await endpoint.story(running) == ["TaskStarted", "TaskCancelled"]


async def test_a_task_waiting_at_a_busy_worker_can_be_cancelled_and_its_neighbours_run(
    endpoint: Endpoint,
) -> None:
    """Once known as short, calls wait at the worker; one that turns out long holds up none for good."""

    def nap(seconds: float) -> float:
        import time

        time.sleep(seconds)
        return seconds

    async with endpoint.agent(1):
        for _ in range(3):
            await endpoint.value(await endpoint.submit(nap, 0))
        tasks = await endpoint.submit_many(nap, [0.3] + [0.0] * 8)
        await until(lambda: endpoint.story(tasks[0]))
        await endpoint.cancel(tasks[4])
        assert type(await endpoint.outcome(tasks[4])).__name__ == "TaskCancelled"
        others = [task_id for task_id in tasks if task_id != tasks[4]]
        assert {type(event).__name__ for event in (await endpoint.outcomes(others)).values()} == {
            "TaskCompleted"
        }
    assert await endpoint.story(tasks[4]) == ["TaskCancelled"]
    assert await endpoint.story(tasks[5]) == ["TaskStarted", "TaskCompleted"]


async def test_a_long_call_does_not_hold_up_what_waits_behind_it(endpoint: Endpoint) -> None:
    """What a worker cannot begin soon is taken back and given to another."""

    def nap(seconds: float) -> None:
        import time

        time.sleep(seconds)

    async with endpoint.agent(2):
        for _ in range(3):
            await endpoint.value(await endpoint.submit(nap, 0))
        tasks = await endpoint.submit_many(nap, [5.0] + [0.0] * 20)
        await endpoint.outcomes(tasks[1:], timeout=2.0)
        assert await endpoint.story(tasks[0]) == ["TaskStarted"]
        await endpoint.cancel(tasks[0])
        await endpoint.outcome(tasks[0])


async def test_what_functions_print_is_kept_away_from_the_agent(
    endpoint: Endpoint, capfd: pytest.CaptureFixture[str]
) -> None:
    async with endpoint.agent(1):
        assert await endpoint.value(await endpoint.submit(shout, "hello")) == 5
    assert capfd.readouterr().out == "hello\nand past Python\n"


async def test_a_body_that_is_not_what_its_hash_says_is_refused(endpoint: Endpoint) -> None:
    """ATTACKS 9: a function changed in the log is never loaded."""
    async with endpoint.agent(1):
        event = await endpoint.outcome(await endpoint.submit(square, 2, function_hash="ab" * 32))
        assert await endpoint.value(await endpoint.submit(square, 3)) == 9
    assert (event.kind, event.attempt) == ("FunctionNotLoaded", 0)
    assert "ab" * 32 in event.message


async def test_arguments_that_cannot_be_opened_say_so(endpoint: Endpoint) -> None:
    async with endpoint.agent(1):
        event = await endpoint.outcome(await endpoint.submit(square, 2, payload=b"rubbish", payload_size=7))
    assert (event.kind, event.error_type) == ("ArgumentsNotLoaded", None)


async def test_a_copy_of_a_submission_changes_nothing(endpoint: Endpoint) -> None:
    """Law 3, at the agent: before the task has run, and after."""
    first = await endpoint.submission(square, 2)
    await endpoint.append(first, first)
    async with endpoint.agent(1):
        await endpoint.outcome(first.task_id)
        await endpoint.append(first)
        assert await endpoint.value(await endpoint.submit(square, 3)) == 9
    async with endpoint.agent(1):
        await endpoint.append(first)
        assert await endpoint.value(await endpoint.submit(square, 4)) == 16
    assert await endpoint.story(first.task_id) == ["TaskStarted", "TaskCompleted"]


async def test_owners_take_turns_and_each_ones_tasks_start_in_log_order(endpoint: Endpoint) -> None:
    def nap(_: object) -> None:
        import time

        time.sleep(0.02)

    many = await endpoint.submit_many(nap, list(range(30)))
    few = await endpoint.submit_many(nap, list(range(2)), owner="grace")
    async with endpoint.agent(1, AgentSettings(drain=0.1)):
        await endpoint.outcomes(few)
        started = [event.task_id for event in await endpoint.results() if isinstance(event, TaskStarted)]
    mine = [task_id for task_id in started if task_id in many]
    assert len(mine) < 8
    assert mine == many[: len(mine)]


async def test_a_task_that_waited_past_its_deadline_expires_by_the_logs_time(endpoint: Endpoint) -> None:
    late = await endpoint.submit(square, 2, expires_in=0)
    async with endpoint.agent(1):
        event = await endpoint.outcome(late)
        running = await endpoint.submit(endless, 0, walltime=3.0)
        waiting = await endpoint.submit(square, 2, expires_in=1)
        assert (await endpoint.outcome(waiting)).kind == "Expired"
        await endpoint.cancel(running)
        await endpoint.outcome(running)
    assert (event.kind, event.attempt) == ("Expired", 0)
