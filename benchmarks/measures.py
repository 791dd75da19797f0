"""What is measured, each as a function from a running server to figures."""

import statistics
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor

from funcledger import Client, Executor

ENDPOINT = "local"
NOOPS = 20_000
ECHO_BYTES = 1_000_000


def noop() -> None:
    """Do nothing."""


def echo(value: bytes) -> bytes:
    """Give back what was given."""
    return value


def percentile(seconds: list[float], share: float) -> float:
    """The value below which this share of them lies, in milliseconds."""
    return sorted(seconds)[min(len(seconds) - 1, int(len(seconds) * share))] * 1e3


def _rate(count: int, work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return count / (time.perf_counter() - start)


def pool_noops(pool: ProcessPoolExecutor, count: int = NOOPS) -> float:
    """No-op tasks per second through the standard library's pool."""

    def work() -> None:
        for future in [pool.submit(noop) for _ in range(count)]:
            future.result()

    return _rate(count, work)


def executor_noops(executor: Executor, count: int = NOOPS) -> float:
    """No-op tasks per second, end to end, through ``Executor``."""

    def work() -> None:
        for future in [executor.submit(noop) for _ in range(count)]:
            future.result()

    return _rate(count, work)


def caught_up(client: Client) -> float:
    """Seconds until the read models know all that this client has seen: a query waits for that (law 9)."""
    start = time.perf_counter()
    client.get_tasks(limit=1)
    return time.perf_counter() - start


def batch_noops(client: Client, count: int = NOOPS) -> float:
    """No-op tasks per second, end to end, through a batch and ``get_batch_result``."""
    function_id = client.register_function(noop)

    def work() -> None:
        batch = client.create_batch()
        for _ in range(count):
            batch.add(endpoint_id=ENDPOINT, function_id=function_id)
        results = client.get_batch_result(client.batch_run(batch), wait=True)
        assert len(results) == count, len(results)
        assert all(entry["status"] == "success" for entry in results.values())

    return _rate(count, work)


def round_trips(executor: Executor, count: int = 500) -> list[float]:
    """Seconds of one task there and back, one at a time."""
    executor.submit(noop).result()
    seconds = []
    for _ in range(count):
        start = time.perf_counter()
        executor.submit(noop).result()
        seconds.append(time.perf_counter() - start)
    return seconds


def acknowledgements(client: Client, count: int = 300) -> list[float]:
    """Seconds until one submission is acknowledged as durable, one at a time."""
    function_id = client.register_function(noop)
    client.get_result(client.run(endpoint_id=ENDPOINT, function_id=function_id))
    seconds = []
    for _ in range(count):
        start = time.perf_counter()
        client.run(endpoint_id=ENDPOINT, function_id=function_id)
        seconds.append(time.perf_counter() - start)
    return seconds


def echoes(executor: Executor, count: int = 200) -> float:
    """Tasks per second that carry 1 MB there and the same 1 MB back."""
    value = bytes(range(256)) * (ECHO_BYTES // 256)

    def work() -> None:
        for future in [executor.submit(echo, value) for _ in range(count)]:
            assert future.result() == value

    return _rate(count, work)


def median_ratio(pairs: Iterable[tuple[float, float]]) -> float:
    """The median of what each pair's first is to its second."""
    return statistics.median(ours / theirs for ours, theirs in pairs)
