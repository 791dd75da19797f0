"""The profile ``embedded``: a server and an endpoint on this machine, as ``funcledger up`` starts them."""

import asyncio
import statistics
import subprocess
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from typing import NamedTuple

from benchmarks import history, measures
from benchmarks.fold import fold
from benchmarks.server import WORKERS, server
from funcledger import Client, Executor

#: Per figure: what it is, and what it is to reach.
TITLES = {
    "noop_per_s": ("no-op tasks per second, through Executor", "10,000"),
    "noop_batch_per_s": ("no-op tasks per second, through a batch", "10,000"),
    "pool_noop_per_s": ("the same through ProcessPoolExecutor (in memory)", ""),
    "noop_ratio": ("Executor to ProcessPoolExecutor, median of paired rounds", "1.0"),
    "caught_up_s": ("read models up to date after the last of 20,000 results, s", ""),
    "rtt_p50_ms": ("one task there and back, p50, ms", "3"),
    "rtt_p99_ms": ("one task there and back, p99, ms", "8"),
    "ack_p50_ms": ("submission acknowledged, p50, ms", "5"),
    "ack_p99_ms": ("submission acknowledged, p99, ms", "20"),
    "echo_1mb_per_s": ("1 MB argument echoed, tasks per second", "150"),
    "start_s": ("start of the server to the first result, s", "2"),
    "import_ms": ("import funcledger, ms", "150"),
    "fold_1m_s": ("1,000,000 events folded into SQLite, s", "30"),
    "server_mb": ("memory of the server after 1,000,000 tasks, MB", "400"),
    "history_ratio": ("a task's cost with 1,000,000 behind it to that with none, server started anew", "1.0"),
    "age_ratio": ("the same in a server that has run all of them", ""),
}
MILLION = 1_000_000
_IMPORT = "import time; t = time.perf_counter(); import funcledger; print(time.perf_counter() - t)"


def first_result() -> float:
    """Seconds from the command that starts a server to the first result."""
    start = time.perf_counter()
    with server(), Executor(endpoint_id=measures.ENDPOINT) as executor:
        executor.submit(measures.noop).result()
        return time.perf_counter() - start


def imported() -> float:
    """Milliseconds that ``import funcledger`` takes, the median of several processes."""
    times = [float(subprocess.check_output([sys.executable, "-c", _IMPORT])) for _ in range(7)]
    return statistics.median(times) * 1e3


class Rounds(NamedTuple):
    """What rounds of no-ops came to: tasks per second, and seconds."""

    ours: list[float]
    pool: list[float]
    batch: list[float]
    caught_up: list[float]


def noops(executor: Executor, rounds: int) -> Rounds:
    """Rounds of ours, the pool's, and our batches, in turn; each begins with no work left over."""
    found, client = Rounds([], [], [], []), Client()
    with ProcessPoolExecutor(WORKERS) as pool:
        measures.pool_noops(pool, 1000)
        measures.executor_noops(executor, 1000)
        for _ in range(rounds):
            found.ours.append(measures.executor_noops(executor))
            found.caught_up.append(measures.caught_up(executor.client))
            found.pool.append(measures.pool_noops(pool))
            found.batch.append(measures.batch_noops(client))
            measures.caught_up(client)
    return found


def tasks(rounds: int) -> dict[str, float]:
    """What is measured of tasks, from one run of a server."""
    with server(), Executor(endpoint_id=measures.ENDPOINT) as executor:
        trips = measures.round_trips(executor)
        acks = measures.acknowledgements(Client())
        rates = noops(executor, rounds)
        return {
            "noop_per_s": statistics.median(rates.ours),
            "noop_batch_per_s": statistics.median(rates.batch),
            "pool_noop_per_s": statistics.median(rates.pool),
            "noop_ratio": measures.median_ratio(zip(rates.ours, rates.pool, strict=True)),
            "caught_up_s": statistics.median(rates.caught_up),
            "rtt_p50_ms": measures.percentile(trips, 0.5),
            "rtt_p99_ms": measures.percentile(trips, 0.99),
            "ack_p50_ms": measures.percentile(acks, 0.5),
            "ack_p99_ms": measures.percentile(acks, 0.99),
            "echo_1mb_per_s": statistics.median(measures.echoes(executor) for _ in range(rounds)),
        }


def measure(rounds: int, *, brief: bool) -> dict[str, float]:
    """Every figure; ``brief`` leaves out those that take a million of something."""
    figures = {"start_s": first_result(), "import_ms": imported()} | tasks(rounds)
    if not brief:
        figures["fold_1m_s"] = asyncio.run(fold(MILLION, "sqlite"))
        behind = history.measure(MILLION)
        figures |= {
            "server_mb": behind.resident / 1e6,
            "history_ratio": behind.restarted,
            "age_ratio": behind.aged,
        }
    return figures
