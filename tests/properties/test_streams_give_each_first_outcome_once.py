"""Laws 5 and 9 for streams: whatever happens on the log, and wherever projectors, streams and servers are
cut, a client that goes on from where it was is given each task's first outcome once, as the read models say.
"""

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st
from tests.support.queries import Answers, Task, project, read_frame, started

from funcledger_event_log.memory import MemoryLog
from funcledger_event_log.records import NewRecord
from funcledger_query_api.api import QuerySide
from funcledger_query_api.seen import Seen
from funcledger_query_api.stream import ResultStream
from funcledger_read_models.documents import TASK_RESULTS, TaskResult
from funcledger_read_models.memory import MemoryStore
from funcledger_schemas.envelope import TOPICS
from funcledger_schemas.events import Event
from funcledger_schemas.lifecycle import Epochs, Life, advance
from funcledger_web.problems import Problem

BATCHES = ("00000000-0000-7000-8000-0000000000b1", "00000000-0000-7000-8000-0000000000b2")
ENDPOINTS = ("00000000-0000-7000-8000-00000000e001", "00000000-0000-7000-8000-00000000e002")
TASKS = [
    (f"00000000-0000-7000-8000-0000000000{number:02}", BATCHES[number % 2], ENDPOINTS[number // 2 % 2])
    for number in range(4)
]
#: Who speaks: the current agent, the one before it, or the keeper.
WHO = st.sampled_from(["agent", "agent", "agent", "zombie", "keeper"])
SAYS = st.tuples(
    st.just("say"), st.sampled_from(["begun", "completed", "completed", "failed", "cancelled"]),
    st.integers(0, len(TASKS) - 1), WHO,
)  # fmt: skip
STEPS = st.one_of(
    SAYS,
    SAYS,
    SAYS,
    SAYS,
    st.tuples(st.just("start"), st.sampled_from(ENDPOINTS)),
    st.tuples(st.just("project"), st.integers(0, 40)),
    st.tuples(st.just("cut"), st.integers(1, 5)),
    st.just(("settle",)),
    st.just(("restart",)),
    st.just(("join",)),
)


@dataclass
class World:
    """A log with two endpoints in one partition, a query side, and a client that goes on and on."""

    remembered: int
    log: MemoryLog = field(default_factory=MemoryLog)
    store: MemoryStore = field(default_factory=MemoryStore)
    events: list[Event] = field(default_factory=list)
    epochs: Epochs = field(default_factory=Epochs)
    lives: dict[str, Life] = field(default_factory=dict)
    got: list[Answers] = field(default_factory=list)
    resume: str = ""
    feed_start: int = 0
    #: The second batch joins some time; until it is settled, streams are to begin it anew.
    batches: set[str] = field(default_factory=lambda: {BATCHES[0]})
    joining: set[str] = field(default_factory=set)
    joined: int = 0

    async def open(self) -> None:
        """A new server begins where the read models stand."""
        self.feed_start = (await self.store.positions()).get(("results", 0), 0)
        self.side = QuerySide(self.log, self.store, self.remembered)
        await self.side.start()
        await self.connect(10**6)

    async def connect(self, frames: int) -> None:
        """A new stream, of which so many frames are read."""
        parts = (self.log, self.store, self.side.progress, self.side.feed)
        self.joined += bool(self.joining)
        self.source = ResultStream(
            *parts, owner="ada", batches=self.batches, joining=self.joining, seen=Seen.parse(self.resume)
        )
        self.reading = asyncio.create_task(self._read(self.source, frames))

    async def join(self) -> None:
        """The second batch joins what is open just now."""
        if BATCHES[1] in self.batches:
            return
        self.batches.add(BATCHES[1])
        self.joining.add(BATCHES[1])
        self.joined += 1
        try:
            self.source.change([BATCHES[1]], [])
        except Problem:
            await self.disconnect()
            await self.connect(10**6)

    async def _read(self, source: ResultStream, frames: int) -> None:
        stream = source.frames()
        try:
            for _ in range(frames):
                head, answers = read_frame((await anext(stream))[4:])
                self.got.append(answers)
                self.resume = head["resume"]
                self.joining -= set(head.get("settled", ()))
        finally:
            await stream.aclose()

    async def disconnect(self) -> None:
        self.reading.cancel()
        await asyncio.gather(self.reading, return_exceptions=True)

    async def close(self) -> None:
        await self.disconnect()
        await self.side.stop()

    async def append(self, event: Event) -> None:
        """On the log, and in the reference that knows all of it."""
        offset = len(self.events)
        self.events.append(event)
        await self.log.append([NewRecord.of(event, 0)])
        if self.epochs.admit(offset, event) and (task_id := getattr(event, "task_id", None)):
            advance(self.lives.setdefault(task_id, Life()), offset, event)

    async def say(self, what: str, number: int, who: str) -> None:
        """An event about a task; agents begin nothing that was finished before this server began (law 6)."""
        task_id, batch_id, endpoint_id = TASKS[number]
        known = self.epochs.known.get(endpoint_id, [])
        epoch = {"agent": known[-1:], "zombie": known[-2:-1], "keeper": []}[who]
        outcome = self.lives.get(task_id, Life()).outcome
        forgotten = self.feed_start if self.remembered > len(TASKS) else 10**6
        if what == "begun" and outcome is not None and outcome < forgotten:
            return
        task = Task(task_id, batch_id, endpoint_id=endpoint_id, epoch=epoch[0] if epoch else None)
        makes: dict[str, Callable[[], Any]] = {
            "begun": task.begun, "completed": lambda: task.completed(str(len(self.events)).encode()),
            "failed": task.failed, "cancelled": task.cancelled,
        }  # fmt: skip
        await self.append(makes[what]())

    async def step(self, action: tuple[Any, ...]) -> None:
        match action:
            case ("say", what, number, who):
                await self.say(what, number, who)
            case ("start", endpoint_id):
                await self.append(started(endpoint_id, self.epochs.current(endpoint_id)))
            case ("project", ahead):
                at = (await self.store.positions()).get(("results", 0), 0)
                await project(self.log, self.store, {"results": at + ahead})
            case ("settle",):
                await settle()
            case ("cut", frames):
                await self.disconnect()
                await self.connect(frames)
                await settle()
                await self.disconnect()
                await self.connect(10**6)
            case ("restart",):
                await self.close()
                await self.open()
            case ("join",):
                await self.join()

    async def finish(self) -> None:
        """Everything is projected, and the client has read on until there is no more."""
        await project(self.log, self.store, {})
        await self.join()
        await self.disconnect()
        await self.connect(10**6)
        await settle(300)
        assert not self.joining
        await self.close()


async def settle(turns: int = 30) -> None:
    """Let everything run that can; nothing here waits for a clock."""
    for _ in range(turns):
        await asyncio.sleep(0)


async def run(steps: list[tuple[Any, ...]], remembered: int) -> World:
    world = World(remembered)
    for topic in TOPICS:
        await world.log.create_topic(topic, 1)
    for endpoint_id in ENDPOINTS:
        await world.append(started(endpoint_id))
    given = [Task(task_id, batch_id, endpoint_id=endpoint_id) for task_id, batch_id, endpoint_id in TASKS]
    await world.log.append([NewRecord.of(task.submitted(), 0) for task in given])
    await world.open()
    for action in steps:
        await world.step(action)
    await world.finish()
    return world


#: A task begins after it has ended, and a server that starts later reads the beginning alone.
BEGUN_TOO_LATE = [
    ("say", "completed", 0, "agent"), ("project", 5), ("say", "begun", 0, "agent"), ("restart",),
    ("say", "completed", 0, "agent"), ("settle",),
]  # fmt: skip


@example(BEGUN_TOO_LATE, 1000)
@given(st.lists(STEPS, min_size=12, max_size=60), st.sampled_from([1, 1000]))
@settings(max_examples=100, deadline=None)
def test_law_05_09_every_first_outcome_comes_once_over_a_chain_of_streams(
    steps: list[tuple[Any, ...]], remembered: int
) -> None:
    world = asyncio.run(run(steps, remembered))
    finished = {task_id: life for task_id, life in world.lives.items() if life.outcome is not None}
    times = Counter(task_id for answers in world.got for task_id in answers)
    assert times.keys() == finished.keys()
    for task_id, batch_id, _ in TASKS:
        # What had not settled when a stream was cut is sent anew by the next.
        assert times[task_id] <= (1 if batch_id == BATCHES[0] else world.joined)
    for answers in world.got:
        for task_id, (status, payload) in answers.items():
            endpoint_id = next(each[2] for each in TASKS if each[0] == task_id)
            document = asyncio.run(world.store.get(TASK_RESULTS, ("ada", task_id, endpoint_id)))
            assert isinstance(document, TaskResult)
            assert document.offset == finished[task_id].outcome
            assert (status["status"], payload) == (document.status, document.payload)
            assert (status.get("kind"), status["finished_at"]) == (document.kind, document.finished_at)
