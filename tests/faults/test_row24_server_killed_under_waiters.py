"""Row 24: the server killed while a thousand futures and a long poll are open: none lost, none doubled."""

import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from tests.support.deadlines import scaled
from tests.support.poll import until_sync
from tests.support.standalone import Standalone, standalone

from funcledger import Client, Executor


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Standalone]:
    with standalone(tmp_path / "data", "--workers", "2") as started:
        yield started


def squared(x: int, gate: str) -> int:
    """Once the gate is open."""
    while not Path(gate).exists():
        time.sleep(0.01)
    return x * x


def outcomes(client: Client, task_id: str) -> list[str]:
    """The outcomes of a task that count, from the log."""
    terminal = ("TaskCompleted", "TaskFailed", "TaskCancelled")
    history = client.get_task_history(task_id)
    return [entry["type"] for entry in history if entry["type"] in terminal and not entry["void"]]


def test_row24_a_thousand_open_futures_and_a_long_poll_outlive_two_kills_of_the_server(
    server: Standalone, tmp_path: Path
) -> None:
    """``kill -9`` in the middle of them, twice; the streams go on from where they were."""
    resolved: Counter[int] = Counter()
    gates = [tmp_path / f"gate{number}" for number in range(3)]
    gates[0].touch()
    with server.client() as client, Executor(endpoint_id="local", client=client) as executor:
        futures = {n: executor.submit(squared, n, str(gates[n // 350])) for n in range(1000)}
        for n, future in futures.items():
            future.add_done_callback(lambda _, n=n: resolved.update([n]))  # type: ignore[misc]
        until_sync(lambda: len(resolved) == 350, 60)
        with server.client() as other, ThreadPoolExecutor(1) as thread:
            waited = [future.task_id for future in futures.values()]
            polling: Future[dict[str, Any]] = thread.submit(other.get_batch_result, waited, 120)
            for number in (1, 2):
                until_sync(lambda number=number: len(resolved) == 350 * number, 60)  # type: ignore[misc]
                server.kill()
                gates[number].touch()
                server.start()
            values = {n: future.result(scaled(60)) for n, future in futures.items()}
            polled = polling.result(scaled(60))
        assert values == {n: n * n for n in range(1000)}
        assert resolved == Counter(dict.fromkeys(range(1000), 1))
        assert [polled[task_id]["result"] for task_id in waited] == [n * n for n in range(1000)]
        for n in range(0, 1000, 50):
            assert outcomes(client, futures[n].task_id) == ["TaskCompleted"]
