"""What a task costs with a history behind it: ``python -m benchmarks.history [--tasks N]``.

Runs N no-op tasks through batches, on a server and an endpoint as a user starts them, and prints for each
tenth of them the tasks per second, the CPU the server took for a task, and the memory it then had.
"""

import argparse
import time
from typing import NamedTuple

import psutil

from benchmarks.measures import ENDPOINT, noop
from benchmarks.server import server
from funcledger import Client

#: Tasks of a batch: as many as a scientist's sweep may have, so that a million are many batches.
BATCH = 1_000


class History(NamedTuple):
    """The server's resident bytes at the end, and its CPU for a task in the last tenth to the first's."""

    resident: int
    cost_ratio: float


def measure(tasks: int) -> History:
    """Print a line for each tenth; what they come to."""
    with server() as process:
        watched = psutil.Process(process.pid)
        client = Client()
        function_id = client.register_function(noop)
        print(f"{'tasks':>10}{'per second':>12}{'CPU µs':>9}{'RSS MB':>9}{'bytes a task':>14}")
        _run(client, function_id, BATCH)  # what is made at the first task is not of history's making
        first = last = _resident(watched)
        step = max(BATCH, tasks // 10 // BATCH * BATCH)
        costs = []
        for done in range(step, tasks + 1, step):
            begun, cpu = time.perf_counter(), _cpu(watched)
            _run(client, function_id, step)
            took, worked = time.perf_counter() - begun, _cpu(watched) - cpu
            costs.append(worked)
            now = _resident(watched)
            print(
                f"{done:>10}{step / took:>12,.0f}{worked / step * 1e6:>9.0f}{now / 1e6:>9.0f}"
                f"{(now - last) / step:>14,.0f}",
                flush=True,
            )
            last = now
        print(f"grown by {(last - first) / 1e6:.0f} MB, {(last - first) / tasks:,.0f} bytes a task")
        return History(last, costs[-1] / costs[0])


def _run(client: Client, function_id: str, tasks: int) -> None:
    for _ in range(tasks // BATCH):
        batch = client.create_batch()
        for _ in range(BATCH):
            batch.add(endpoint_id=ENDPOINT, function_id=function_id)
        results = client.get_batch_result(client.batch_run(batch))
        assert len(results) == BATCH, len(results)


def _cpu(process: psutil.Process) -> float:
    times = process.cpu_times()
    return times.user + times.system


def _resident(process: psutil.Process) -> int:
    resident: int = process.memory_info().rss
    return resident


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tasks", type=int, default=100_000)
    measure(parser.parse_args().tasks)
