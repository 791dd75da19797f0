"""How far the read models are behind the log, as a metric."""

import asyncio
import contextlib
import logging

from prometheus_client import CollectorRegistry, Gauge

from funcledger_event_log.port import LogError
from funcledger_projectors.runner import Projector

_log = logging.getLogger(__name__)

#: Seconds between looks.
_INTERVAL = 1.0


class LagMetric:
    """Keeps ``funcledger_projector_lag_records`` up to date: records appended but not yet folded."""

    def __init__(self, projector: Projector, registry: CollectorRegistry) -> None:
        self._projector = projector
        self._gauge = Gauge(
            "funcledger_projector_lag_records",
            "Records of the log that the read models do not reflect yet",
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
                self._gauge.set(await self._projector.lag())
            except LogError as error:
                _log.warning("the read models' lag cannot be told: %s", error)
            await asyncio.sleep(_INTERVAL)
