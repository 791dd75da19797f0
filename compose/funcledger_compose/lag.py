"""How far the read models are behind the log, and what could not be read, as metrics."""

import asyncio
import contextlib
import logging
from typing import Protocol

from prometheus_client import CollectorRegistry, Gauge

from funcledger_event_log.port import EventLog, LogError
from funcledger_read_models.port import StoreError

_log = logging.getLogger(__name__)

#: Seconds between looks.
_INTERVAL = 1.0


class Lagging(Protocol):
    """What knows its lag."""

    async def lag(self) -> int:
        """How many records of its partitions have not been applied yet."""
        ...


class LagMetric:
    """Keeps the gauges up to date; of the lag, each projector tells that of its own partitions."""

    def __init__(self, log: EventLog, projector: Lagging, registry: CollectorRegistry) -> None:
        self._log = log
        self._projector = projector
        self._lag = Gauge(
            "funcledger_projector_lag_records",
            "Records of this projector's partitions that the read models do not reflect yet",
            registry=registry,
        )
        self._dead = Gauge(
            "funcledger_dead_letters",
            "Records on the log that could not be read; each projector tells of all of them",
            registry=registry,
        )
        self._looking: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin to look."""
        self._looking = asyncio.create_task(self._look(), name="lag metric")

    async def stop(self) -> None:
        """Look no more."""
        if self._looking is not None:
            self._looking.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._looking

    async def _look(self) -> None:
        while True:
            try:
                self._lag.set(await self._projector.lag())
                starts = await self._log.starts("dead_letters")
                self._dead.set(sum((await self._log.ends("dead_letters")).values()) - sum(starts.values()))
            except (LogError, StoreError) as error:
                _log.warning("the read models' lag cannot be told: %s", error)
            await asyncio.sleep(_INTERVAL)
