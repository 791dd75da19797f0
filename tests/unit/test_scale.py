"""The computation behind docs/scale.md: what is simulated adds up, and follows what is asked."""

from dataclasses import replace

import pytest
from benchmarks.events import one_task
from benchmarks.scale import (
    RECORDS,
    Load,
    brokers_needed,
    divided,
    figures,
    placed,
    projectors_needed,
    rows,
    task_bytes,
    traffic,
)

LOAD = Load(endpoints=10_000, partitions=256, tasks=20_000, payload=1_000, gateways=10, query_apis=6)


def test_every_task_has_one_partition_and_even_endpoints_even_partitions() -> None:
    shares = placed(LOAD)
    assert len(shares) == 256
    assert sum(shares) == pytest.approx(1.0)
    even = placed(replace(LOAD, skew=0.0))
    assert max(even) / min(even) < 1.03  # 40 or 39 endpoints
    assert shares[0] > 10 * even[0]


def test_projectors_are_enough_for_the_busiest_and_no_more() -> None:
    shares, each = placed(LOAD), figures().folded_per_projector.value
    needed = projectors_needed(LOAD, shares, each)
    events = LOAD.tasks * RECORDS + LOAD.endpoints / 5
    assert events * divided(shares, needed) <= 0.6 * each < events * divided(shares, needed - 1)
    assert divided(shares, 1) == pytest.approx(1.0)


def test_traffic_grows_with_readers_and_copies() -> None:
    base = traffic(LOAD)
    more = traffic(replace(LOAD, gateways=11))
    assert more.outgoing - base.outgoing == LOAD.tasks * task_bytes(LOAD.payload)
    assert base.incoming == base.written * 3
    assert brokers_needed(replace(LOAD, tasks=100), 100e6) == 3
    assert task_bytes(2_000) - task_bytes(1_000) == 2_000


def test_a_tasks_bytes_are_those_of_its_records_as_the_broker_gets_them() -> None:
    records = one_task()
    headers = sum(len(name) + len(value) for record in records for name, value in record.headers)
    assert task_bytes(100) == sum(len(record.key) + len(record.value) for record in records) + headers
    assert headers < 3 * 400  # and not what they may take at most


def test_the_table_says_where_its_figures_are_from() -> None:
    known = figures()
    assert known.tasks_per_core.source.startswith("latest")
    assert "noop_per_s" in known.tasks_per_core.source
    assert dict(rows(LOAD, known))["endpoints on a partition"] == "40"
