"""What a task costs with a history behind it: ``python -m benchmarks.history [--tasks N]``.

Runs N no-op tasks through batches, on a server and an endpoint as a user starts them, and prints for each
tenth of them the tasks per second, the CPU the server took for a task, and the memory it then had. Then it
starts the server anew and runs another tenth: what that costs more than the first one is the history's, and
what the last one costs more than that is the age of the process.
"""

import argparse
import subprocess
import time
from typing import NamedTuple

import psutil

from benchmarks.measures import ENDPOINT, noop
from benchmarks.server import data_dir, started
from funcledger import Client

#: Tasks of a batch: as many as a scientist's sweep may have, so that a million are many batches.
BATCH = 1_000


class History(NamedTuple):
    """The server's resident bytes at the end, and its CPU for a task to that for one of the first tenth.

    ``aged`` is that of the last tenth, ``restarted`` that of one more, by a server that was started anew.
    """

    resident: int
    aged: float
    restarted: float


class _Watch:
    """A server at work: each run of tasks is a line of the table."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = psutil.Process(process.pid)
        self._client = Client()
        self._function_id = self._client.register_function(noop)
        self._run(BATCH)  # what is made at the first task is not of history's making
        self.resident = self._resident()

    def run(self, tasks: int, name: str) -> float:
        """Run so many tasks; the server's CPU for each, in seconds."""
        begun, cpu, before = time.perf_counter(), self._cpu(), self.resident
        self._run(tasks)
        took, cost = time.perf_counter() - begun, (self._cpu() - cpu) / tasks
        self.resident = self._resident()
        print(
            f"{name:>10}{tasks / took:>12,.0f}{cost * 1e6:>9.1f}{self.resident / 1e6:>9.0f}"
            f"{(self.resident - before) / tasks:>14,.0f}",
            flush=True,
        )
        return cost

    def _run(self, tasks: int) -> None:
        for _ in range(tasks // BATCH):
            batch = self._client.create_batch()
            for _ in range(BATCH):
                batch.add(endpoint_id=ENDPOINT, function_id=self._function_id)
            results = self._client.get_batch_result(self._client.batch_run(batch), wait=True)
            assert len(results) == BATCH, len(results)

    def _cpu(self) -> float:
        times = self._process.cpu_times()
        return times.user + times.system

    def _resident(self) -> int:
        resident: int = self._process.memory_info().rss
        return resident


def measure(tasks: int) -> History:
    """Print a line for each tenth; what they come to."""
    step = max(BATCH, tasks // 10 // BATCH * BATCH)
    print(f"{'tasks':>10}{'per second':>12}{'CPU µs':>9}{'RSS MB':>9}{'bytes a task':>14}")
    with data_dir():
        with started() as process:
            watch = _Watch(process)
            costs = [watch.run(step, str(done)) for done in range(step, tasks + 1, step)]
        with started() as process:
            anew = _Watch(process).run(step, "restarted")
    return History(watch.resident, costs[-1] / costs[0], anew / costs[0])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tasks", type=int, default=100_000)
    print(measure(parser.parse_args().tasks))
