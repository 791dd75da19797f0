"""A tour of funcledger: register functions, run them elsewhere, and get values and exceptions back.

Start a server in another terminal (`funcledger up`), then: python examples/tour.py [endpoint]
"""

import sys
import time
from collections.abc import Callable
from concurrent.futures import as_completed
from typing import Any

from funcledger import Client, Executor

# The functions that will run on the endpoint. They import what they need themselves, or use what this
# file has imported and defined: that goes with them.


def inside(points: int, seed: int) -> int:
    """Throw darts at a square and count those inside the circle."""
    import random

    throw = random.Random(seed).random
    return sum(throw() ** 2 + throw() ** 2 <= 1 for _ in range(points))


def describe(values: list[float]) -> dict[str, float]:
    """Mean and spread of some measurements."""
    from statistics import fmean, stdev

    return {"mean": round(fmean(values), 3), "stdev": round(stdev(values), 3)}


def uname() -> str:
    """Ask an external program about the machine it runs on."""
    import subprocess

    done = subprocess.run(["uname", "-srm"], capture_output=True, text=True, check=True)
    return done.stdout.strip()


class InstrumentError(Exception):
    """An error of our own: it comes back as what it is."""


def read_instrument(channel: int) -> float:
    """Fail as instruments do."""
    if channel > 3:
        raise InstrumentError(f"there is no channel {channel}")
    return channel * 0.5


def squared(x: int) -> int:
    """Square a number."""
    return x * x


def nothing() -> None:
    """Do nothing at all."""


def section(title: str) -> None:
    print(f"\n{title}\n{'-' * len(title)}", flush=True)


def timed(work: Callable[[], Any]) -> tuple[Any, float]:
    start = time.perf_counter()
    value = work()
    return value, time.perf_counter() - start


def wait_online(client: Client, endpoint: str) -> dict[str, Any]:
    """The endpoint's status, once it is online: one that has just been started needs a moment."""
    deadline = time.monotonic() + 60
    while (status := client.get_endpoint_status(endpoint))["status"] != "online":
        if time.monotonic() > deadline:
            sys.exit(
                f"The endpoint {endpoint!r} is offline; start it with: funcledger endpoint start {endpoint}"
            )
        time.sleep(0.1)
    return status


def one_function(client: Client, endpoint: str) -> None:
    section("One function, there and back")
    function = client.register_function(squared)
    task = client.run(7, endpoint_id=endpoint, function_id=function)
    print(f"  squared(7) = {client.get_result(task)}     (function {function}, task {task})")


def pi_in_parallel(client: Client, endpoint: str) -> None:
    section("Monte Carlo pi, in parallel")
    points, parts = 200_000, 8
    function = client.register_function(inside, description="darts in a circle")
    tasks = [
        client.run(points, seed=seed, endpoint_id=endpoint, function_id=function) for seed in range(parts)
    ]
    total = 0
    for number, task in enumerate(tasks, 1):
        total += client.get_result(task)
        print(
            f"  {number}/{parts} parts of {points:,} points: pi is about {4 * total / (number * points):.4f}"
        )


def imports_and_programs(client: Client, endpoint: str) -> None:
    section("A function with imports, and one that calls a program")
    values = [20.1, 19.8, 20.4, 20.0, 19.9]
    task = client.run(values, endpoint_id=endpoint, function_id=client.register_function(describe))
    print(f"  describe({values}) = {client.get_result(task)}")
    task = client.run(endpoint_id=endpoint, function_id=client.register_function(uname))
    print(f"  uname -srm = {client.get_result(task)}")


def failing(client: Client, endpoint: str) -> None:
    section("A function that fails")
    function = client.register_function(read_instrument)
    task = client.run(9, endpoint_id=endpoint, function_id=function)
    try:
        client.get_result(task)
    except InstrumentError as error:
        print(f"  caught {type(error).__name__}: {error}")
        print("  and its cause is the traceback from there:")
        for line in str(error.__cause__).strip().strip('"').strip().splitlines():
            print(f"    | {line}")
    status = client.get_task(task)
    print(f"  get_task: status {status['status']!r}, pending {bool(status['pending'])}, raises nothing")


def batch_of_squares(client: Client, endpoint: str) -> None:
    section("A batch of squares")
    function = client.register_function(squared)
    batch = client.create_batch()
    for number in range(10):
        batch.add(number, endpoint_id=endpoint, function_id=function)
    tasks = client.batch_run(batch)
    results = client.get_batch_result(tasks, wait=True)
    print(f"  {[results[task]['result'] for task in tasks]}")


def executor(client: Client, endpoint: str) -> None:
    section("The standard library's Executor")
    with Executor(endpoint_id=endpoint, client=client) as pool:
        futures = [pool.submit(inside, 100_000, seed) for seed in range(4)]
        for done, future in enumerate(as_completed(futures), 1):
            print(f"  {done}/4 done: {future.result():,} of 100,000 darts inside")
        print(f"  map: {list(pool.map(squared, range(10)))}")
        count = 5_000
        _, seconds = timed(
            lambda: [future.result() for future in [pool.submit(nothing) for _ in range(count)]]
        )
        print(f"  {count:,} calls of a function that does nothing: {count / seconds:,.0f} per second")
        trips = sorted(timed(lambda: pool.submit(nothing).result())[1] for _ in range(100))
        print(f"  one call there and back: {trips[50] * 1000:.1f} ms (median of 100)")


def endpoints(client: Client, endpoint: str) -> None:
    section("The endpoint")
    status = wait_online(client, endpoint)
    # An agent that has just started is online before it first tells what its machine has.
    while status["details"]["memory_total"] is None:
        time.sleep(0.1)
        status = wait_online(client, endpoint)
    details, memory = status["details"], status["details"]["memory_total"]
    print(f"  {status['name']} on {status['host']} is {status['status']}")
    print(
        f"  {status['logs'][0]['total_workers']} workers, {details['idle_workers']} idle, "
        f"{status['logs'][0]['outstanding_tasks']} tasks outstanding, "
        f"{details['cores']} cores, {memory / 2**30:.0f} GiB of memory"
    )


def main() -> None:
    endpoint = sys.argv[1] if len(sys.argv) > 1 else "local"
    with Client() as client:
        print(f"Connected: {client}")
        wait_online(client, endpoint)
        one_function(client, endpoint)
        pi_in_parallel(client, endpoint)
        imports_and_programs(client, endpoint)
        failing(client, endpoint)
        batch_of_squares(client, endpoint)
        executor(client, endpoint)
        endpoints(client, endpoint)


if __name__ == "__main__":
    main()
