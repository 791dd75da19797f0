"""Whatever is done to it, and however often it is reopened, the embedded log answers as the one in memory."""

import asyncio
import shutil
import tempfile
from pathlib import Path
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from tests.support.logs import at, collect

from funcledger_event_log.memory import MemoryLog
from funcledger_event_log.port import EventLog
from funcledger_event_log.records import NewRecord, Position, Record, TopicPartition
from funcledger_event_log.sqlite import SqliteLog

PARTITIONS = 3
_partitions = st.integers(0, PARTITIONS - 1)
#: Short ones, and those around the size from which values stand in the segment.
_values = st.binary(max_size=20) | st.integers(64 * 1024 - 1, 64 * 1024 + 1).map(lambda size: b"v" * size)
_headers = st.lists(st.tuples(st.sampled_from(["ce_id", "ce_type", "é"]), st.binary(max_size=4)), max_size=4)
_records = st.builds(
    NewRecord, st.just("tasks"), _partitions, st.binary(max_size=3), _headers.map(tuple), _values
)


def _told(records: list[Record]) -> list[tuple[Any, ...]]:
    """What must be equal: everything but the time, and the order between partitions."""
    told = [(record.position, record.key, record.headers, record.value) for record in records]
    return sorted(told, key=lambda fields: fields[0])


class SqliteEqualsMemory(RuleBasedStateMachine):
    """Both logs get the same; all answers are compared."""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.directory = Path(tempfile.mkdtemp())

    @initialize()
    def begin(self) -> None:
        self.memory = MemoryLog()
        self.sqlite = self.runner.run(SqliteLog.open(self.directory, tail_bytes=200_000))
        self.both(lambda log: log.create_topic("tasks", PARTITIONS))

    def both(self, ask: Any) -> Any:
        answers = [self.runner.run(ask(log)) for log in (self.memory, self.sqlite)]
        assert answers[0] == answers[1]
        return answers[0]

    @rule(records=st.lists(_records, max_size=5))
    def append(self, records: list[NewRecord]) -> None:
        self.both(lambda log: log.append(records))

    @rule(record=_records, count=st.integers(60, 200))
    def append_many(self, record: NewRecord, count: int) -> None:
        self.both(lambda log: log.append([record] * count if len(record.value) < 100 else [record]))

    @rule(starts=st.dictionaries(_partitions.map(at), st.integers(0, 300), min_size=1))
    def follow(self, starts: dict[TopicPartition, int]) -> None:
        async def told(log: EventLog) -> list[tuple[Any, ...]]:
            ends = await log.ends("tasks")
            start = {where: min(offset, ends[where.partition]) for where, offset in starts.items()}
            there = sum(ends[where.partition] - offset for where, offset in start.items())
            return _told(await collect(log, start, there)) if there else []

        self.both(told)

    @rule(asked=st.lists(st.tuples(_partitions, st.integers(0, 300)), max_size=10))
    def read(self, asked: list[tuple[int, int]]) -> None:
        async def told(log: EventLog) -> list[Any]:
            records = await log.read([Position("tasks", *position) for position in asked])
            return [record and _told([record]) for record in records]

        self.both(told)

    @rule(consumer=st.sampled_from("ab"), where=_partitions.map(at), offset=st.integers(0, 9), text=st.text())
    def commit(self, consumer: str, where: TopicPartition, offset: int, text: str) -> None:
        self.both(lambda log: log.commit(consumer, where, offset, text))

    @rule(consumer=st.sampled_from("ab"), where=_partitions.map(at))
    def committed(self, consumer: str, where: TopicPartition) -> None:
        self.both(lambda log: log.committed(consumer, where))

    @rule()
    def reopen(self) -> None:
        self.runner.run(self.sqlite.close())
        self.sqlite = self.runner.run(SqliteLog.open(self.directory, tail_bytes=200_000))

    @invariant()
    def ends_are_equal(self) -> None:
        if hasattr(self, "sqlite"):
            self.both(lambda log: log.ends("tasks"))

    def teardown(self) -> None:
        self.runner.run(self.sqlite.close())
        self.runner.run(self.memory.close())
        self.runner.close()
        shutil.rmtree(self.directory)


TestSqliteEqualsMemory = SqliteEqualsMemory.TestCase
TestSqliteEqualsMemory.settings = settings(max_examples=30, stateful_step_count=20, deadline=None)
