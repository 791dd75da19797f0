"""``make bench``: measure, print the table, write ``benchmarks/latest.json``."""

import argparse
import json
import os
import platform
import statistics
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from benchmarks import measures
from benchmarks.server import WORKERS, server
from funcledger import Client, Executor

LATEST = Path(__file__).with_name("latest.json")

TITLES = {
    "noop_per_s": "no-op tasks per second, through Executor",
    "noop_batch_per_s": "no-op tasks per second, through a batch",
    "pool_noop_per_s": "the same through ProcessPoolExecutor (in memory)",
    "noop_ratio": "Executor to ProcessPoolExecutor, median of paired rounds",
    "rtt_p50_ms": "one task there and back, p50, ms",
    "rtt_p99_ms": "one task there and back, p99, ms",
    "ack_p50_ms": "submission acknowledged, p50, ms",
    "ack_p99_ms": "submission acknowledged, p99, ms",
    "echo_1mb_per_s": "1 MB argument echoed, tasks per second",
    "start_s": "start of the server to the first result, s",
}


def first_result() -> float:
    """Seconds from the command that starts a server to the first result."""
    start = time.perf_counter()
    with server(), Executor(endpoint_id=measures.ENDPOINT) as executor:
        executor.submit(measures.noop).result()
        return time.perf_counter() - start


def paired_noops(executor: Executor, rounds: int) -> tuple[list[tuple[float, float]], list[float]]:
    """Rounds of ours and the standard library's, in turn; and our batches' figures."""
    with ProcessPoolExecutor(WORKERS) as pool:
        measures.pool_noops(pool, 1000)
        measures.executor_noops(executor, 1000)
        pairs = [(measures.executor_noops(executor), measures.pool_noops(pool)) for _ in range(rounds)]
    client = Client()
    return pairs, [measures.batch_noops(client) for _ in range(rounds)]


def measure(rounds: int) -> dict[str, float]:
    """Every figure, from one run."""
    figures = {"start_s": first_result()}
    with server(), Executor(endpoint_id=measures.ENDPOINT) as executor:
        trips = measures.round_trips(executor)
        acks = measures.acknowledgements(Client())
        pairs, batches = paired_noops(executor, rounds)
        figures |= {
            "noop_per_s": statistics.median(ours for ours, _ in pairs),
            "noop_batch_per_s": statistics.median(batches),
            "pool_noop_per_s": statistics.median(theirs for _, theirs in pairs),
            "noop_ratio": measures.median_ratio(pairs),
            "rtt_p50_ms": measures.percentile(trips, 0.5),
            "rtt_p99_ms": measures.percentile(trips, 0.99),
            "ack_p50_ms": measures.percentile(acks, 0.5),
            "ack_p99_ms": measures.percentile(acks, 0.99),
            "echo_1mb_per_s": measures.echoes(executor),
        }
    return figures


def main() -> None:
    """Run, print and write."""
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, help=f"paired rounds of {measures.NOOPS} no-ops")
    figures = measure(parser.parse_args().rounds)
    machine = {"cores": os.cpu_count(), "platform": platform.platform(), "python": platform.python_version()}
    print(
        f"{machine['cores']} cores, {WORKERS} workers, Python {machine['python']}, fsync before each answer\n"
    )
    for name, title in TITLES.items():
        print(f"  {title:<62}{figures[name]:>12,.2f}")
    rounded = {name: round(figures[name], 3) for name in TITLES}
    LATEST.write_text(json.dumps({**rounded, "machine": machine}, indent=2) + "\n")
    print(f"\nWritten to {LATEST.relative_to(Path.cwd()) if LATEST.is_relative_to(Path.cwd()) else LATEST}")


if __name__ == "__main__":
    main()
