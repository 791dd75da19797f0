"""FAULTS 8, 10 and 29 at random: workers and agents killed, tasks cancelled, and every task ends once."""

import asyncio
import os
import random
import signal
from collections import defaultdict
from contextlib import suppress

import psutil
import pytest
from tests.support.endpoint import Endpoint

from funcledger_endpoint.settings import AgentSettings
from funcledger_payloads import load
from funcledger_schemas.events import Event, TaskCompleted, TaskEvent, TaskFailed, TaskStarted
from funcledger_schemas.lifecycle import OUTCOMES, Epochs, Life, advance


def add_one(number: int) -> int:
    import time

    if number % 17 == 0:
        time.sleep(0.03)
    return number + 1


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 4])
async def test_row08_row10_row29_whatever_is_killed_every_task_ends_once_with_the_right_value(
    seed: int,
) -> None:
    print(f"seed {seed}")
    chance = random.Random(seed)
    endpoint = await Endpoint.create()
    numbers: dict[str, int] = {}
    submitting = asyncio.create_task(_submit(endpoint, chance, numbers))
    for _ in range(60):
        settings = AgentSettings(commit=0.05, read_ahead=chance.choice([20, 10_000]))
        async with endpoint.agent(2, settings) as running:
            await _disturb(endpoint, chance, list(numbers))
            if chance.random() < 0.6:
                await running.crash()
        outcomes = _check(await endpoint.results())
        if submitting.done() and outcomes.keys() == numbers.keys():
            break
    assert outcomes.keys() == numbers.keys()
    for task_id, event in outcomes.items():
        if isinstance(event, TaskCompleted):
            assert load(event.payload_format, event.payload) == numbers[task_id] + 1
        elif isinstance(event, TaskFailed):
            assert event.kind in ("WorkerDied", "TaskLost")


async def _submit(endpoint: Endpoint, chance: random.Random, numbers: dict[str, int]) -> None:
    for start in range(0, 1000, 50):
        batch = list(range(start, start + 50))
        ids = await endpoint.submit_many(add_one, batch, max_attempts=chance.choice([1, 3, 30]))
        numbers.update(zip(ids, batch, strict=True))
        await asyncio.sleep(chance.random() * 0.05)


async def _disturb(endpoint: Endpoint, chance: random.Random, tasks: list[str]) -> None:
    """For up to a second, kill a worker or cancel a task now and then."""
    loop = asyncio.get_running_loop()
    end = loop.time() + chance.random()
    while loop.time() < end:
        await asyncio.sleep(chance.random() * 0.05)
        workers = psutil.Process().children()
        if workers and chance.random() < 0.3:
            with suppress(ProcessLookupError):
                os.kill(chance.choice(workers).pid, signal.SIGKILL)
        if tasks and chance.random() < 0.3:
            await endpoint.cancel(chance.choice(tasks))


def _check(events: list[Event]) -> dict[str, Event]:
    """The outcomes, having seen that attempts are counted rightly and nothing follows an outcome."""
    epochs, lives, outcomes = Epochs(), defaultdict[str, Life](Life), dict[str, Event]()
    for offset, event in enumerate(events):
        if not (epochs.admit(offset, event) and isinstance(event, TaskEvent)):
            continue
        life = lives[event.task_id]
        assert event.task_id not in outcomes, f"{event} follows the outcome"
        if isinstance(event, TaskStarted):
            assert event.attempt == life.attempts + 1
        if isinstance(event, TaskCompleted):
            assert (life.attempts, life.running) == (event.attempt, True)
        advance(life, offset, event)
        if type(event).__name__ in OUTCOMES:
            outcomes[event.task_id] = event
    return outcomes
