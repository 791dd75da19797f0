"""Whatever bytes an agent sends, the gateway answers for them and believes none that it should not.

Frames are cut, bent and invented, events in them true but for some fields; the app is the real one. No answer
is a 5xx, and what comes to stand on the log is about the one task that this endpoint was given (ATTACKS 5).
"""

import asyncio
import json
import math
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any, get_args, get_type_hints

import httpx2
import msgspec
import pytest
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st
from tests.support.apps import client_of
from tests.support.endpoints import TestEndpoint, gateway_over, memory_log, say
from tests.support.folding import fold_into

from funcledger_event_log.endpoint_wire import pack_appends
from funcledger_event_log.memory import MemoryLog
from funcledger_event_log.records import NewRecord, Record, TopicPartition
from funcledger_read_models.documents import TASK_STATUS, Key
from funcledger_read_models.memory import MemoryStore
from funcledger_schemas import events as e
from funcledger_schemas import frames, manifest
from funcledger_schemas.lifecycle import Epochs

pytestmark = [pytest.mark.attack(5, 39), pytest.mark.law(15)]
_FUZZ = settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])

_TEXTS = st.text(max_size=30) | st.sampled_from(["", "\x1b[2J", "0" * 64, "é" * 70_000, "../..", "user:eve"])
#: Per type of a field, what may be said there.
_VALUES: dict[Any, st.SearchStrategy[Any]] = {
    str: _TEXTS,
    int: st.sampled_from([-(2**63), -1, 0, 1, 2, 2**31 - 1, 2**31, 2**63 - 1]),
    float: st.sampled_from([math.nan, math.inf, -math.inf, -0.5, 0.0, 1e308]),
    bytes: st.binary(max_size=20),
    type(None): st.none(),
}
#: The events that an agent writes most, in the order of ``Scene.true``.
KINDS = (e.EndpointStarted, e.TaskStarted, e.TaskCompleted, e.EndpointHeartbeat, e.TaskCompleted)
_COUNTS = st.lists(st.integers(-1, 200) | st.sampled_from([2**31, 2**64, True, None, 0.5, "0"]), max_size=4)
HEADS = st.fixed_dictionaries(
    {
        "schemas": st.lists(
            st.sampled_from([entry.dataschema for entry in manifest.entries()]) | _TEXTS, max_size=3
        ),
        "schema": _COUNTS,
        "sizes": _COUNTS,
    },
    optional={"more": _TEXTS},
)


@st.composite
def bent_fields(draw: st.DrawFn, kind: type[e.Event]) -> dict[str, Any]:
    """Values for some fields, each of a type that the field may have."""
    hints = get_type_hints(kind)
    plain = [name for name in kind.__struct_fields__ if _types(hints[name]) <= _VALUES.keys()]
    names = draw(st.lists(st.sampled_from(plain), min_size=1, max_size=3, unique=True))
    values = {name: [_VALUES[each] for each in _VALUES if each in _types(hints[name])] for name in names}
    return {name: draw(st.one_of(*values[name])) for name in names}


def _types(hint: Any) -> set[Any]:
    return set(get_args(hint)) or {hint}


class Scene:
    """A gateway, the endpoint that sends, the one task it was given, and a neighbour's."""

    def __init__(self, log: MemoryLog, liar: TestEndpoint, neighbour: TestEndpoint) -> None:
        self.log, self.liar, self._neighbour = log, liar, neighbour
        self.mine, self.theirs = liar.submitted(), neighbour.submitted()
        self.client: httpx2.AsyncClient
        self._epochs, self._read = Epochs(), 0

    @property
    def epoch(self) -> int:
        return self._epochs.current(self.liar.endpoint_id)

    def true(self) -> list[e.Event]:
        """What its agent might well say now."""
        epoch = self.epoch
        return [
            self.liar.started(supersedes=epoch),
            self.liar.begun(self.mine, epoch),
            self.liar.completed(self.mine, epoch),
            self.liar.heartbeat(epoch),
            self.liar.completed(self.theirs, epoch),
        ]

    async def send(self, frame: bytes) -> None:
        answer = await self.client.post("/v1/gateway/events", content=frame)
        if answer.status_code == 200:
            json.loads(answer.text)["offsets"]
        else:
            assert 400 <= answer.status_code < 500, answer.text
            assert answer.headers["content-type"] == "application/problem+json"
            assert answer.json()["type"], answer.text
        await self._check_log()

    async def _check_log(self) -> None:
        for record in await self.results(self._read):
            event = record.event()
            self._read = record.offset + 1
            self._epochs.admit(record.offset, event)
            fields: Any = event
            assert fields.endpoint_id == self.liar.endpoint_id
            if isinstance(event, e.TaskEvent):
                assert (fields.owner, fields.task_id, fields.batch_id, fields.submission) in (
                    (self.mine.owner, self.mine.task_id, self.mine.batch_id, 0),
                    (self.mine.owner, self.mine.task_id, self.mine.batch_id, None),
                )
                assert fields.attempt >= 0

    async def results(self, start: int = 0) -> list[Record]:
        end = (await self.log.ends("results"))[1]
        return self.log.take(TopicPartition("results", 1), start, 10_000, 1 << 30) if end > start else []

    async def believed(self, *, early: bool = False) -> set[Key]:
        """The tasks of which read models come to show an outcome."""
        store = MemoryStore()
        tasks = self.log.take(TopicPartition("tasks", 1), 0, 10_000, 1 << 30)
        results = await self.results()
        await fold_into(store, [results, tasks] if early else [tasks, results])
        found: list[Any] = list(await store.find(TASK_STATUS, limit=1000))
        return {TASK_STATUS.key_of(each) for each in found if each.outcome_offset is not None}


@asynccontextmanager
async def _scene() -> AsyncIterator[Scene]:
    scene = Scene(await memory_log(), TestEndpoint(), TestEndpoint(owner="eve"))
    await say(scene.log, scene.liar.registered(), scene._neighbour.registered())
    await say(scene.log, scene.mine, scene.theirs, partition=1)
    async with (
        gateway_over(scene.log) as parts,
        client_of(parts.app, scene.liar.credential) as scene.client,
    ):
        yield scene


@pytest.fixture
def runner() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as made:
        yield made


@pytest.fixture
def scene(runner: asyncio.Runner) -> Iterator[Scene]:
    made = _scene()
    yield runner.run(made.__aenter__())
    runner.run(made.__aexit__(None, None, None))


@_FUZZ
@given(at=st.floats(0, 1), cut=st.integers(0, 9), put=st.binary(max_size=9))
def test_a_bent_frame_is_a_problem_or_answered_item_by_item(
    runner: asyncio.Runner, scene: Scene, at: float, cut: int, put: bytes
) -> None:
    (frame,) = pack_appends(scene.true())
    place = int(at * len(frame))
    runner.run(scene.send(frame[:place] + put + frame[place + cut :]))
    assert runner.run(scene.believed()) <= {(scene.mine.owner, scene.mine.task_id, scene.liar.endpoint_id)}


@_FUZZ
@example(head=b"\x80", body=b"")
@given(head=HEADS | st.binary(max_size=40), body=st.binary(max_size=200))
def test_an_invented_frame_is_a_problem_or_answered_item_by_item(
    runner: asyncio.Runner, scene: Scene, head: dict[str, Any] | bytes, body: bytes
) -> None:
    text = head if isinstance(head, bytes) else json.dumps(head).encode()
    runner.run(scene.send(frames.pack_encoded(text, [body])))
    runner.run(scene.send(text + body))


@_FUZZ
@given(bent=st.integers(0, 4).flatmap(lambda at: st.tuples(st.just(at), bent_fields(KINDS[at]))))
def test_an_event_with_fields_that_cannot_be_is_a_problem_or_refused(
    runner: asyncio.Runner, scene: Scene, bent: tuple[int, dict[str, Any]]
) -> None:
    place, fields = bent
    changed = msgspec.structs.replace(scene.true()[place], **fields)
    try:
        (frame,) = pack_appends([changed])
    except Exception:  # not even an agent that lies can write it down
        assume(False)
    runner.run(scene.send(frame))
    assert runner.run(scene.believed()) <= {(scene.mine.owner, scene.mine.task_id, scene.liar.endpoint_id)}


#: What an agent that writes to the log itself may name: its own task (0), a neighbour's (1), nobody's (2).
_NAMED = st.fixed_dictionaries(
    {name: st.integers(0, 2) for name in ("endpoint_id", "owner", "task_id", "batch_id", "submission")}
)


@_FUZZ
@given(named=st.lists(_NAMED, min_size=1, max_size=5), early=st.booleans())
def test_what_is_written_past_the_gateway_is_shown_of_what_was_submitted_alone(
    named: list[dict[str, int]], early: bool
) -> None:
    """Of whatever mixture of its own task's names and others', and in whichever order the topics are read."""
    asyncio.run(_check_direct(named, early))


async def _check_direct(named: list[dict[str, int]], early: bool) -> None:
    scene = Scene(await memory_log(), TestEndpoint(), TestEndpoint(owner="eve"))
    await say(scene.log, scene.mine, scene.theirs, partition=1)
    (epoch,) = await say(scene.log, scene.liar.started(), partition=1)
    mine, theirs = scene.mine, scene.theirs
    values: dict[str, tuple[Any, ...]] = {
        name: (getattr(mine, name), getattr(theirs, name), "nobody's")
        for name in ("endpoint_id", "owner", "task_id", "batch_id")
    }
    values["submission"] = (0, 1, 99)
    for each in named:
        lie = scene.liar.completed(mine, epoch)
        lie = msgspec.structs.replace(lie, **{name: values[name][at] for name, at in each.items()})
        record = NewRecord.of(lie, 1)
        record.key = scene.liar.endpoint_id.encode()
        await scene.log.append([record])
    true = any(not any(each.values()) for each in named)
    believed = {(mine.owner, mine.task_id, mine.endpoint_id)} if true else set()
    assert await scene.believed(early=early) == believed
