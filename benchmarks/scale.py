"""What a cluster would carry: ``python -m benchmarks.scale --endpoints 10000 --partitions 256``.

Computed from measured figures (``benchmarks/latest-kafka.json``, else those written here with where they are
from) and from a simulation of what cannot be divided evenly: endpoints of very different load on partitions
that never move. What comes out is told in ``docs/scale.md``.
"""

import argparse
import json
import math
import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from benchmarks.events import one_task
from funcledger_event_log.records import NewRecord

LATEST = Path(__file__).with_name("latest-kafka.json")
#: Records a task leaves when nothing goes wrong: submitted, started, completed.
RECORDS = 3
#: Seconds between two heartbeats of an endpoint, and what one record of them takes.
HEARTBEAT, HEARTBEAT_BYTES = 5, 700
#: Bytes of arguments, and of the result, in the records that sizes are taken from.
PAYLOAD = 100
#: Documents written for a task: status, history and batch twice, its result once.
WRITES = 7
#: What a process should be planned to do of what it can.
PLANNED = 0.6


@dataclass(frozen=True, slots=True)
class Figure:
    """A measured number, and where it is from."""

    value: float
    source: str


@dataclass(frozen=True, slots=True)
class Figures:
    """What was measured, per core or per process."""

    tasks_per_core: Figure
    folded_per_projector: Figure
    broker_bytes: Figure
    partition_moves: Figure


def figures() -> Figures:
    """The figures of the last ``make bench``, and for what it does not measure those of the decisions."""
    found = json.loads(LATEST.read_text())
    cores = found["machine"]["cores"]
    return Figures(
        Figure(
            found["noop_per_s"] / cores, f"{LATEST.name}: noop_per_s on {cores} cores, workers and client too"
        ),
        Figure(
            found["fold_alone_per_s"], f"{LATEST.name}: fold_alone_per_s, a database that answers at once"
        ),
        Figure(100e6, "assumed: bytes per second, in or out, of a broker with one gigabit"),
        Figure(10, "docs/production.md: seconds until a dead projector's partitions have another"),
    )


@dataclass(frozen=True, slots=True)
class Load:
    """What is asked of the cluster: tasks per second, their payload in bytes (arguments or result)."""

    endpoints: int
    partitions: int
    tasks: float
    payload: int
    gateways: int
    query_apis: int
    replication: int = 3
    #: How unlike the endpoints are: 0 is all the same, 1 is Zipf's law.
    skew: float = 1.0


def placed(load: Load, seed: int = 1) -> list[float]:
    """Simulated: the share of all tasks that each partition gets, the most loaded first.

    Endpoints register in random order, each on the partition with the fewest endpoints, as the command API
    chooses; how busy each will be, nobody knows then.
    """
    weights = [1 / rank**load.skew for rank in range(1, load.endpoints + 1)]
    random.Random(seed).shuffle(weights)
    shares = [0.0] * load.partitions
    for number, weight in enumerate(weights):
        shares[number % load.partitions] += weight
    return sorted((share / sum(weights) for share in shares), reverse=True)


def divided(shares: Sequence[float], projectors: int) -> float:
    """The share of the busiest of so many projectors, partitions being dealt out by number, not by load."""
    order = list(shares)
    random.Random(2).shuffle(order)
    return max(sum(order[number::projectors]) for number in range(projectors))


def projectors_needed(load: Load, shares: Sequence[float], each: float) -> int:
    """The fewest of which the busiest folds no more than planned; at most one for each partition."""
    events = load.tasks * RECORDS + load.endpoints / HEARTBEAT
    for count in range(1, load.partitions + 1):
        if events * divided(shares, count) <= each * PLANNED:
            return count
    return load.partitions


def task_bytes(payload: int) -> int:
    """Bytes of the records of one task, headers and all, with so many in its arguments and in its result."""
    return sum(map(_bytes, one_task())) - 2 * PAYLOAD + 2 * payload


def result_bytes(payload: int) -> int:
    """The same of those in ``results``."""
    of_results = [record for record in one_task() if record.topic == "results"]
    return sum(map(_bytes, of_results)) - PAYLOAD + payload


def _bytes(record: NewRecord) -> int:
    """What the broker gets of a record, with its headers written out."""
    return len(record.key) + len(record.value) + sum(len(name) + len(value) for name, value in record.headers)


class Traffic(NamedTuple):
    """Bytes per second: written once, in and out of all brokers; no compression is counted on."""

    written: float
    incoming: float
    outgoing: float


def traffic(load: Load) -> Traffic:
    """What the brokers take and give.

    Each gateway process reads ``tasks`` and ``results`` once, whatever the number of its endpoints, and soon
    all of both, for its endpoints are anywhere; each query API reads ``results``; the projectors together
    read everything once.
    """
    heartbeats = load.endpoints / HEARTBEAT * HEARTBEAT_BYTES
    tasks = load.tasks * task_bytes(load.payload)
    results = load.tasks * result_bytes(load.payload)
    written = tasks + heartbeats
    read = load.gateways * tasks + load.query_apis * results + written
    return Traffic(written, written * load.replication, read + written * (load.replication - 1))


def brokers_needed(load: Load, each: float) -> int:
    """At least three, so that one may be away."""
    flow = traffic(load)
    return max(3, math.ceil(max(flow.incoming, flow.outgoing) / (each * PLANNED)))


def rows(load: Load, known: Figures) -> list[tuple[str, str]]:
    """What comes out, as lines of a table."""
    shares = placed(load)
    beats = load.endpoints / HEARTBEAT
    events = load.tasks * RECORDS + beats
    flow = traffic(load)
    projectors = projectors_needed(load, shares, known.folded_per_projector.value)
    busiest = divided(shares, projectors) * events
    late = known.partition_moves.value * busiest
    made_up = late / max(known.folded_per_projector.value - busiest, 1)
    cores = math.ceil(load.tasks / known.tasks_per_core.value)
    return [
        ("endpoints on a partition", f"{math.ceil(load.endpoints / load.partitions)}"),
        ("busiest partition", f"{shares[0]:.1%} of all tasks, {shares[0] * load.partitions:.0f}x the mean"),
        ("records per second", f"{events:,.0f}, of which heartbeats {beats:,.0f}"),
        ("into the brokers", f"{flow.incoming / 1e6:,.0f} MB/s in {load.replication} copies"),
        ("out of the brokers", f"{flow.outgoing / 1e6:,.0f} MB/s"),
        ("brokers", f"{brokers_needed(load, known.broker_bytes.value)}"),
        ("kept per day", f"{flow.written * 86_400 / 1e9:,.0f} GB a copy, before compression"),
        ("cores for APIs, gateways, agents and no-op calls", f"{cores}"),
        ("projectors", f"{projectors}, the busiest folding {busiest:,.0f} events/s"),
        ("documents MongoDB writes", f"up to {load.tasks * WRITES + beats:,.0f} per second"),
        ("behind when a projector dies", f"{late:,.0f} events, made up in {made_up:,.0f} s"),
    ]  # fmt: skip


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scale", description=__doc__)
    for name, default in {"endpoints": 10_000, "partitions": 256, "tasks": 20_000, "payload": 1_000,
                          "gateways": 10, "query_apis": 6}.items():  # fmt: skip
        parser.add_argument(f"--{name.replace('_', '-')}", type=int, default=default)
    parser.add_argument("--skew", type=float, default=1.0)
    load, known = Load(**vars(parser.parse_args())), figures()
    print(
        f"| {load.endpoints:,} endpoints, {load.partitions} partitions, {load.tasks:,} tasks/s | |\n|---|---|"
    )
    for title, value in rows(load, known):
        print(f"| {title} | {value} |")
    print("\nFrom:")
    for figure in (
        known.tasks_per_core,
        known.folded_per_projector,
        known.broker_bytes,
        known.partition_moves,
    ):
        print(f"- {figure.value:,.0f}: {figure.source}")


if __name__ == "__main__":
    main()
