"""The profile ``kafka``: one of each service, real broker and MongoDB's stand-in, all on the same cores."""

import asyncio
import statistics

from benchmarks import measures
from benchmarks.distributed import appended, stack
from benchmarks.fold import fold
from funcledger import Client, Executor

#: Per figure: what it is, and what it is to reach.
TITLES = {
    "noop_per_s": ("no-op tasks per second, end to end, through Executor", "6,000"),
    "batch_per_s": ("through a batch", ""),
    "rtt_p50_ms": ("one task there and back, p50, ms", "8"),
    "rtt_p99_ms": ("one task there and back, p99, ms", "30"),
    "ack_p50_ms": ("submission acknowledged at the API, p50, ms", "5"),
    "ack_p99_ms": ("submission acknowledged at the API, p99, ms", "25"),
    "append_per_s": ("events per second appended to Kafka with Avro encoding", "20,000"),
    "fold_alone_per_s": ("events per second folded, the database answering at once", "20,000"),
    "fold_per_s": ("events per second folded into MongoDB's stand-in", ""),
}
#: Events folded: into the stand-in, and into a database that answers at once.
_FOLDED, _FOLDED_ALONE = 60_000, 300_000


def measure(rounds: int, *, brief: bool) -> dict[str, float]:
    """Every figure; ``brief`` leaves out folding."""
    with stack() as made:
        with Executor(endpoint_id=measures.ENDPOINT) as executor:
            # A broker that has just started compiles itself, for many at a time and for one.
            measures.executor_noops(executor, 5000)
            measures.caught_up(executor.client)
            measures.round_trips(executor)
            trips = measures.round_trips(executor)
            acks = measures.acknowledgements(Client())
            rates = [measures.executor_noops(executor) for _ in range(rounds)]
            batches = [measures.batch_noops(executor.client) for _ in range(rounds)]
        figures = {
            "noop_per_s": statistics.median(rates),
            "batch_per_s": statistics.median(batches),
            "rtt_p50_ms": measures.percentile(trips, 0.5),
            "rtt_p99_ms": measures.percentile(trips, 0.99),
            "ack_p50_ms": measures.percentile(acks, 0.5),
            "ack_p99_ms": measures.percentile(acks, 0.99),
            "append_per_s": appended(made),
        }
    if not brief:
        figures["fold_alone_per_s"] = _FOLDED_ALONE / asyncio.run(fold(_FOLDED_ALONE, "instant"))
        figures["fold_per_s"] = _FOLDED / asyncio.run(fold(_FOLDED, "mongo"))
    return figures
