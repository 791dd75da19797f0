"""The log and the read models with their figures: how long appends and saves take, sizes, failures."""

import time
from collections.abc import Sequence

from prometheus_client import CollectorRegistry, Counter, Histogram

from funcledger_event_log.port import EventLog, LogError
from funcledger_event_log.records import NewRecord, Position
from funcledger_read_models.port import Documents, Positions, ReadModelStore, StoreError

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
_SIZES = (1, 2, 5, 10, 50, 100, 500, 1000, 5000, 20_000)


class MeasuredLog:
    """An ``EventLog`` that is another, with its appends measured."""

    def __init__(self, log: EventLog, registry: CollectorRegistry) -> None:
        self._log = log
        self._seconds = Histogram(
            "funcledger_append_seconds", "Seconds until an append was acknowledged", (), buckets=_SECONDS,
            registry=registry,
        )  # fmt: skip
        self._records = Histogram(
            "funcledger_append_records", "Records in one append", (), buckets=_SIZES, registry=registry
        )
        self._failed = Counter(
            "funcledger_append_failures", "Appends that were refused, or got no answer in time", ("error",),
            registry=registry,
        )  # fmt: skip
        self.create_topic, self.partitions = log.create_topic, log.partitions
        self.follow, self.read = log.follow, log.read
        self.ends, self.starts = log.ends, log.starts
        self.commit, self.committed = log.commit, log.committed
        self.time, self.close = log.time, log.close
        self.ready, self.trouble = log.ready, log.trouble

    async def append(self, records: Sequence[NewRecord]) -> list[Position]:
        """As the port says."""
        self._records.observe(len(records))
        begun = time.perf_counter()
        try:
            positions = await self._log.append(records)
        except LogError as error:
            self._failed.labels(type(error).__name__).inc()
            raise
        self._seconds.observe(time.perf_counter() - begun)
        return positions


class MeasuredStore:
    """A ``ReadModelStore`` that is another, with its saves measured."""

    def __init__(self, store: ReadModelStore, registry: CollectorRegistry) -> None:
        self._store = store
        self._seconds = Histogram(
            "funcledger_save_seconds", "Seconds that saving a batch's documents took", (), buckets=_SECONDS,
            registry=registry,
        )  # fmt: skip
        self._documents = Histogram(
            "funcledger_save_documents", "Documents in one save", (), buckets=_SIZES, registry=registry
        )
        self._failed = Counter(
            "funcledger_save_failures", "Saves that came to nothing, and were tried again", ("error",),
            registry=registry,
        )  # fmt: skip
        self.load, self.positions, self.wait_change = store.load, store.positions, store.wait_change
        self.get, self.find, self.due, self.close = store.get, store.find, store.due, store.close

    async def save(self, documents: Documents, positions: Positions, before: Positions) -> None:
        """As the port says."""
        begun = time.perf_counter()
        try:
            await self._store.save(documents, positions, before)
        except StoreError as error:
            self._failed.labels(type(error).__name__).inc()
            raise
        self.observe(sum(map(len, documents.values())), time.perf_counter() - begun)

    def observe(self, documents: int, seconds: float) -> None:
        """So many documents were saved, which took so long: here, or in a process of the projector's own."""
        self._documents.observe(documents)
        self._seconds.observe(seconds)
