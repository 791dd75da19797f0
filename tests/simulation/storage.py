"""The log and the store as a process reaches them: late, sometimes in vain, and it may die on the way."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Collection, Mapping, Sequence
from random import Random
from typing import Any

from tests.simulation.process import Killed, Process

from funcledger_event_log.log_time import LogTime
from funcledger_event_log.memory import MemoryLog
from funcledger_event_log.port import Committed, LogUnavailable, OutcomeUnknown
from funcledger_event_log.records import NewRecord, Position, Record, TopicPartition
from funcledger_read_models.documents import Document, Key, Model
from funcledger_read_models.memory import MemoryStore
from funcledger_read_models.port import Documents, Positions, StoreUnavailable
from funcledger_schemas import clock

#: Told of each point where a process can die; whether it does.
Point = Callable[[Process, str], bool]


class Weather:
    """How far storage is away, in seconds, and how often (0 to 1) it fails."""

    def __init__(self, latency: float, failing: float) -> None:
        self.latency, self.failing = latency, failing


class _Way:
    """What log and store have in common: the way there and back."""

    def __init__(self, process: Process, point: Point, weather: Weather) -> None:
        self._process, self._point, self._weather = process, point, weather

    async def _go(self, dice: Random) -> None:
        self._process.check()
        if self._weather.latency:
            await asyncio.sleep(self._weather.latency * dice.random() ** 3)
            self._process.check()

    def _fails(self, dice: Random) -> bool:
        return self._weather.failing > 0 and dice.random() < self._weather.failing

    def _pass(self, point: str) -> None:
        if self._point(self._process, point):
            raise Killed


class LogOf(_Way):
    """The one log, as one process sees it; its clock is its own."""

    def __init__(
        self, log: MemoryLog, its_clock: clock.Clock, process: Process, point: Point, weather: Weather
    ) -> None:
        super().__init__(process, point, weather)
        self._log, self._clock = log, its_clock
        self._time = LogTime(self._ask_time)

    async def create_topic(self, topic: str, partitions: int) -> None:
        await self._log.create_topic(topic, partitions)

    async def partitions(self, topic: str) -> int:
        return await self._log.partitions(topic)

    async def append(self, records: Sequence[NewRecord]) -> list[Position]:
        dice = self._process.dice
        await self._go(dice)
        self._pass("before append")
        if self._fails(dice):
            raise LogUnavailable("simulated: nothing was written")
        unknown = self._fails(dice)
        # A cluster of several partitions may take a part of a request whose outcome is not known.
        part = records[: dice.randint(0, len(records))] if unknown else records
        with clock.running_on(self._clock):
            positions = await self._log.append(part)
        self._pass("after append")
        await self._go(dice)
        if unknown:
            raise OutcomeUnknown("simulated: some may have been written")
        return positions

    async def follow(
        self, start: Mapping[TopicPartition, int], *, max_records: int = 1000, max_bytes: int = 8 << 20
    ) -> AsyncGenerator[list[Record]]:
        dice = Random(self._process.dice.random())
        batches = self._log.follow(
            start, max_records=min(max_records, dice.randint(1, 40)), max_bytes=max_bytes
        )
        try:
            async for batch in batches:
                await self._go(dice)
                if self._fails(dice):
                    raise LogUnavailable("simulated: the follower was cut off")
                yield batch
        finally:
            await batches.aclose()

    async def read(self, positions: Sequence[Position]) -> list[Record | None]:
        await self._asked()
        return await self._log.read(positions)

    async def ends(self, topic: str) -> dict[int, int]:
        await self._asked()
        return await self._log.ends(topic)

    async def starts(self, topic: str) -> dict[int, int]:
        return await self._log.starts(topic)

    async def _asked(self) -> None:
        dice = self._process.dice
        await self._go(dice)
        if self._fails(dice):
            raise LogUnavailable("simulated: it does not answer")

    async def commit(self, consumer: str, where: TopicPartition, offset: int, metadata: str = "") -> None:
        self._pass("before commit")
        await self._asked()
        await self._log.commit(consumer, where, offset, metadata)
        self._pass("after commit")

    async def committed(self, consumer: str, where: TopicPartition) -> Committed | None:
        await self._asked()
        return await self._log.committed(consumer, where)

    async def time(self) -> int:
        return await self._time.now()

    async def _ask_time(self) -> int:
        await self._asked()
        with clock.running_on(self._clock):
            return await self._log.time()

    async def ready(self) -> bool:
        return True

    async def trouble(self) -> str | None:
        return None

    async def close(self) -> None:
        """It belongs to the world."""


class StoreOf(_Way):
    """The one store, as one process sees it."""

    def __init__(self, store: MemoryStore, process: Process, point: Point, weather: Weather) -> None:
        super().__init__(process, point, weather)
        self._store = store

    async def _asked(self) -> None:
        dice = self._process.dice
        await self._go(dice)
        if self._fails(dice):
            raise StoreUnavailable("simulated: it does not answer")

    async def load(self, wanted: Mapping[Model, Collection[Key]]) -> dict[Model, dict[Key, Document]]:
        await self._asked()
        return await self._store.load(wanted)

    async def save(self, documents: Documents, positions: Positions, before: Positions) -> None:
        self._pass("before save")
        await self._asked()
        await self._store.save(documents, positions, before)
        self._pass("after save")
        await self._go(self._process.dice)
        if self._fails(self._process.dice):
            raise StoreUnavailable("simulated: saved, but the answer was lost")

    async def positions(self) -> dict[tuple[str, int], int]:
        await self._asked()
        return await self._store.positions()

    async def wait_change(self, timeout: float) -> None:
        await self._store.wait_change(timeout)

    async def get(self, model: Model, key: Key) -> Document | None:
        await self._asked()
        return await self._store.get(model, key)

    async def find(self, model: Model, prefix: Key = (), *rest: Any, **options: Any) -> list[Document]:
        await self._asked()
        return await self._store.find(model, prefix, *rest, **options)

    async def due(self, model: Model, before: int, limit: int) -> list[Document]:
        await self._asked()
        return await self._store.due(model, before, limit)

    async def close(self) -> None:
        """It belongs to the world."""
