"""What the server tells its projector's process, and when."""

import asyncio
from collections.abc import AsyncGenerator, Collection
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from tests.support.poll import until

from funcledger_compose.projecting import process as module
from funcledger_compose.projecting.messages import Hurry, Moved, heard
from funcledger_compose.projecting.process import ProjectorProcess
from funcledger_compose.settings import Settings
from funcledger_event_log.records import TopicPartition
from funcledger_projectors.inbox import MANY


class Moving:
    """A log whose ends move when a test says so, and gather while nobody asks, as the real one's do."""

    def __init__(self) -> None:
        self._ends: dict[TopicPartition, int] = {}
        self._changed = asyncio.Event()
        self.to(tasks=0, results=0)

    def to(self, **ends: int) -> None:
        self._ends |= {TopicPartition(topic, 0): end for topic, end in ends.items()}
        self._changed.set()

    async def moves(self, _topics: Collection[str]) -> AsyncGenerator[dict[TopicPartition, int]]:
        while True:
            await self._changed.wait()
            self._changed.clear()
            moved, self._ends = self._ends, {}
            yield moved


class Told:
    """The child's end of the pipe, and what has arrived there."""

    def __init__(self) -> None:
        self._pipe = asyncio.StreamReader()
        self.messages: list[Any] = []
        self._reading = asyncio.create_task(self._read())

    async def _read(self) -> None:
        async for message in heard(self._pipe):
            self.messages.append(message)

    @property
    def ends(self) -> list[dict[str, int]]:
        """Where partitions have got, message by message, after the first, which names them all."""
        moved = [message for message in self.messages if isinstance(message, Moved)]
        return [{topic: end for topic, _, end in message.ends} for message in moved][1:]

    def write(self, data: bytes) -> None:
        self._pipe.feed_data(data)

    def is_closing(self) -> bool:
        return False

    async def drain(self) -> None:
        return None


class Telling:
    def __init__(self) -> None:
        self.log, self.child = Moving(), Told()
        log: Any = self.log
        nobody: Any = None
        self.projector = ProjectorProcess(log, nobody, Settings(data_dir=Path()), nobody, lambda *_: None)
        process: Any = SimpleNamespace(stdin=self.child)
        self.projector._process = process
        self.task = asyncio.create_task(self.projector._tell(process))


async def telling_has_begun(telling: Telling) -> Telling:
    await until(lambda: len(telling.child.messages) == 1)
    return telling


async def test_little_is_told_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_PAUSE", 100)
    monkeypatch.setattr(module, "_BREATH", 0.01)
    telling = await telling_has_begun(Telling())
    for end in range(1, 4):
        telling.log.to(tasks=end)
        await until(lambda end=end: telling.child.ends[-1:] == [{"tasks": end}])  # type: ignore[misc]
    telling.task.cancel()


async def test_after_much_what_comes_next_gathers_until_somebody_waits(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It would gather in the child in any case; to have it read each commit would only take the cores."""
    monkeypatch.setattr(module, "_PAUSE", 100)
    monkeypatch.setattr(module, "_BREATH", 0.01)
    telling = await telling_has_begun(Telling())
    telling.log.to(tasks=MANY)
    await until(lambda: telling.child.ends == [{"tasks": MANY}])
    for end in range(1, 50):
        telling.log.to(tasks=MANY + end, results=end)
        await asyncio.sleep(0)
    assert len(telling.child.ends) == 1
    telling.projector.hurry(True)
    await until(lambda: telling.child.ends[1:] == [{"tasks": MANY + 49, "results": 49}])
    assert Hurry(True) in telling.child.messages
    telling.log.to(tasks=5 * MANY)
    telling.log.to(tasks=6 * MANY)
    await until(lambda: telling.child.ends[-1] == {"tasks": 6 * MANY})
    telling.task.cancel()


async def test_a_long_pause_is_no_reason_for_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    """Many came at once; from then on few come, and of these so many in a pause."""
    pauses: list[float] = []

    async def pause(_self: ProjectorProcess, seconds: float) -> None:
        pauses.append(seconds)

    monkeypatch.setattr(ProjectorProcess, "_pause", pause)
    telling = await telling_has_begun(Telling())
    end = 0
    for more in (MANY, MANY, 4 * MANY, 5 * MANY, 5 * MANY, 1):
        end += more
        telling.log.to(tasks=end)
        await until(lambda end=end: telling.child.ends[-1:] == [{"tasks": end}])  # type: ignore[misc]
    breath, long = module._BREATH, module._PAUSE
    assert pauses == [breath, long, breath, long, long, long, breath]
    telling.task.cancel()


async def test_little_gathers_for_a_moment_until_somebody_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that a few tasks in a row do not each make the child read, fold and save three times over."""
    monkeypatch.setattr(module, "_BREATH", 100)
    telling = await telling_has_begun(Telling())
    for end in range(1, 10):
        telling.log.to(tasks=end)
        await asyncio.sleep(0)
    assert not telling.child.ends
    telling.projector.hurry(True)
    await until(lambda: telling.child.ends == [{"tasks": 9}])
    telling.task.cancel()


async def test_nobody_need_wait_for_it_to_be_told_in_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_PAUSE", 0.05)
    monkeypatch.setattr(module, "_BREATH", 0.01)
    telling = await telling_has_begun(Telling())
    telling.log.to(tasks=MANY)
    await until(lambda: len(telling.child.ends) == 1)
    telling.log.to(tasks=MANY + 1)
    await until(lambda: telling.child.ends[1:] == [{"tasks": MANY + 1}])
    telling.task.cancel()
