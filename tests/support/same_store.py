"""Does everything to the store in memory and to another one, which must give the same answers."""

import asyncio
from abc import abstractmethod
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from funcledger_read_models.documents import TASK_RESULTS, TASK_STATUS, Key, TaskResult, TaskStatus
from funcledger_read_models.memory import MemoryStore
from funcledger_read_models.port import ReadModelStore, StaleWriter

WORDS = st.sampled_from(["", "a", "a\x00", "ab", "b", "ö", "\U0001d11e"])
KEYS = st.tuples(WORDS, WORDS, WORDS)
STATUSES = st.sampled_from(["received", "running", "success"])
PLACES = st.tuples(st.sampled_from(["tasks", "results"]), st.integers(0, 1))
ENDS = st.dictionaries(PLACES, st.integers(0, 4), max_size=2)
WHERE = st.fixed_dictionaries(
    {},
    optional={
        "status": STATUSES | st.lists(STATUSES, max_size=2),
        "task_id": WORDS | st.lists(WORDS, max_size=3),
        "function_id": WORDS,
    },
)


@st.composite
def tasks(draw: st.DrawFn) -> TaskStatus:
    owner, task_id, endpoint_id = draw(KEYS)
    return TaskStatus(
        owner=owner,
        task_id=task_id,
        endpoint_id=endpoint_id,
        batch_id=draw(WORDS),
        status=draw(STATUSES),
        function_id=draw(st.none() | WORDS),
        attention_at=draw(st.none() | st.integers(0, 5)),
    )


class SameStore(RuleBasedStateMachine):
    """Does everything to both."""

    other: ReadModelStore

    @abstractmethod
    async def opened(self) -> ReadModelStore:
        """The other store: empty at first, later as it was left."""

    @abstractmethod
    async def removed(self, store: ReadModelStore) -> None:
        """Close it for good."""

    @initialize()
    def open(self) -> None:
        self.runner = asyncio.Runner()
        self.memory = MemoryStore()
        self.other = self.runner.run(self.opened())

    def both(self, method: str, *arguments: Any, **options: Any) -> None:
        answers = []
        for store in (self.memory, self.other):
            try:
                answers.append(self.runner.run(getattr(store, method)(*arguments, **options)))
            except StaleWriter as error:
                answers.append(repr(error))
        assert answers[0] == answers[1]

    @rule(documents=st.lists(tasks(), max_size=4), positions=ENDS, before=ENDS)
    def save(self, documents: list[TaskStatus], positions: Any, before: Any) -> None:
        results = [
            TaskResult(
                owner=each.owner, task_id=each.task_id, endpoint_id=each.endpoint_id, batch_id=each.batch_id,
                status=each.status, partition=0, offset=0, finished_at=0, attempt=1,
            )
            for each in documents
            if each.status == "success"
        ]  # fmt: skip
        by_model = {
            TASK_STATUS: {TASK_STATUS.key_of(each): each for each in documents},
            TASK_RESULTS: {TASK_RESULTS.key_of(each): each for each in results},
        }
        self.both("save", by_model, positions, before)
        self.both("positions")

    @rule(keys=st.lists(KEYS, max_size=3, unique=True))
    def load(self, keys: list[Key]) -> None:
        self.both("load", {TASK_STATUS: keys, TASK_RESULTS: keys})

    @rule(
        start=KEYS,
        size=st.integers(0, 3),
        after=st.none() | KEYS,
        where=WHERE,
        limit=st.integers(1, 4),
        down=st.booleans(),
    )
    def find(self, start: Key, size: int, after: Key | None, where: Any, limit: int, down: bool) -> None:
        prefix = (after or start)[:size]
        self.both("find", TASK_STATUS, prefix, where, after=after, limit=limit, descending=down)

    @rule(before=st.integers(-1, 6), limit=st.integers(1, 4))
    def due(self, before: int, limit: int) -> None:
        self.both("due", TASK_STATUS, before, limit)

    @rule()
    def reopen(self) -> None:
        self.runner.run(self.other.close())
        self.other = self.runner.run(self.opened())

    def teardown(self) -> None:
        self.runner.run(self.removed(self.other))
        self.runner.close()
