"""Nobody holds the read models back by sending many events about one thing: folds are linear in a batch."""

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from msgspec import structs
from tests.support.folding import fold_into, folded
from tests.support.growth import Cost, check_linear, cost
from tests.support.queries import ENDPOINT, FUNCTION, Task, function, registered, started

from funcledger_event_log.records import NewRecord, Record
from funcledger_read_models.documents import (
    ACCESS,
    TASK_HISTORY,
    TASK_RESULTS,
    TASK_STATUS,
    Access,
    TaskHistory,
)
from funcledger_read_models.memory import MemoryStore
from funcledger_read_models.packing import unpacker
from funcledger_schemas import events as e
from funcledger_schemas.envelope import BY_ENDPOINT
from funcledger_schemas.events import Event
from funcledger_schemas.ids import new_id
from funcledger_schemas.limits import HISTORY_LISTED

TASK = Task()
LATER = Task()
#: As the command API writes a cancel of a request of the most tasks; a quarter of what was seen to take 61 s.
MANY = 8_000


def _base() -> dict[str, Any]:
    return {"event_id": new_id(), "occurred_at": 0, "actor": "user:ada"}


def _cancel(task: Task = TASK) -> Event:
    about: dict[str, Any] = {"owner": task.owner, "task_id": task.task_id, "batch_id": task.batch_id}
    return e.TaskCancelRequested(**_base(), **about, endpoint_id=ENDPOINT)


def _heartbeat(number: int) -> Event:
    return e.EndpointHeartbeat(
        **_base(), endpoint_id=ENDPOINT, instance_id="i", epoch=0, workers=2, busy=0, queued=number, cores=2,
        memory_total=1, memory_available=1, load=0.5,
    )  # fmt: skip


def _share(number: int) -> Event:
    kind = e.FunctionShared if number % 2 == 0 else e.FunctionUnshared
    share: dict[str, Any] = {"owner": "ada", "grantee_kind": "user", "grantee": "bob"}
    return kind(**_base(), function_id=FUNCTION, **share)


#: What one principal can say again and again about one thing.
ABOUT_ONE_THING: dict[str, Callable[[int], Event]] = {
    "submissions": lambda _: TASK.submitted(),
    "cancels": lambda _: _cancel(),
    "cancels of unknown tasks": lambda _: _cancel(Task()),
    "starts of attempts": lambda number: TASK.begun(number + 1),
    "outcomes": lambda _: TASK.completed(),
    "outcomes of a task that was never sent": lambda _: LATER.completed(),
    "outcomes of another submission": lambda number: structs.replace(TASK.completed(), submission=number + 1),
    "outcomes of a dead agent": lambda _: replace(TASK, epoch=7).completed(),
    "starts of an agent": lambda number: started(supersedes=number),
    "signs of life": _heartbeat,
    "shares": _share,
}


def _records(first: list[Event], events: Iterator[Event]) -> list[Record]:
    """The events as records, each topic in one partition."""
    ends: dict[str, int] = {}
    made = []
    for event in (*first, *events):
        new = NewRecord.of(event, 1)
        partition = 1 if new.topic in BY_ENDPOINT else 0
        at = ends[new.topic] = ends.get(new.topic, -1) + 1
        made.append(Record(new.topic, partition, at, 1_800_000_000_000 + at, new.key, new.headers, new.value))
    return made


def _told(make: Callable[[int], Event], count: int) -> list[Record]:
    return _records([registered(), function(), started(), TASK.submitted()], map(make, range(count)))


async def _cost(records: list[Record], size: int) -> Cost:
    batches = [records[at : at + size] for at in range(0, len(records), size)]

    async def fold() -> None:
        await fold_into(MemoryStore(), batches)

    return await cost(fold, rounds=1)


@pytest.mark.attack(37)
@pytest.mark.parametrize("what", ABOUT_ONE_THING)
async def test_a_batch_of_events_about_one_thing_costs_what_it_holds(what: str) -> None:
    make = ABOUT_ONE_THING[what]
    small, large = _told(make, MANY // 4), _told(make, MANY)
    check_linear(await _cost(small, len(small)), await _cost(large, len(large)))


@pytest.mark.attack(37)
@pytest.mark.parametrize("what", ABOUT_ONE_THING)
async def test_an_event_costs_the_same_however_many_came_before(what: str) -> None:
    """Read a few at a time, as they come: documents do not grow with all that was ever said about them."""
    make = ABOUT_ONE_THING[what]
    small, large = _told(make, MANY // 16), _told(make, MANY // 4)
    check_linear(await _cost(small, 50), await _cost(large, 50))


@pytest.mark.attack(37)
@pytest.mark.law(2, 3)
def test_a_history_lists_the_first_of_each_kind_and_counts_the_rest_however_it_is_read() -> None:
    """And what comes later of another kind is listed all the same."""
    cancels = [_cancel() for _ in range(HISTORY_LISTED + 50)]
    told = [TASK.submitted(), *cancels, TASK.begun(), TASK.completed(), TASK.completed()]
    records = _records([registered(), started()], iter(told))
    dump = folded([records])
    assert dump == folded([each] for each in records)
    assert dump == folded([records, records[50:], records[300:]])
    (packed,) = dump["task_history"]
    history: Any = unpacker(TASK_HISTORY)(packed)
    assert isinstance(history, TaskHistory)
    kinds = [(each.type, each.void) for each in history.entries]
    assert kinds == [
        ("TaskSubmitted", False),
        *[("TaskCancelRequested", False)] * HISTORY_LISTED,
        ("TaskStarted", False),
        ("TaskCompleted", False),
        ("TaskCompleted", True),
    ]
    listed = [each.event_id for each in history.entries[1 : HISTORY_LISTED + 1]]
    assert listed == [each.event_id for each in cancels[:HISTORY_LISTED]]
    assert [(each.topic, each.events) for each in history.left_out] == [("tasks", 50)]


@pytest.mark.attack(5)
def test_an_agent_that_was_replaced_cannot_crowd_what_counts_out_of_a_history() -> None:
    late = replace(TASK, epoch=7)
    told = [
        TASK.submitted(),
        *(late.begun() for _ in range(HISTORY_LISTED + 9)),
        TASK.begun(),
        TASK.completed(),
    ]
    (packed,) = folded([_records([registered(), started()], iter(told))])["task_history"]
    history: Any = unpacker(TASK_HISTORY)(packed)
    counting = [each.type for each in history.entries if not each.void]
    assert counting == ["TaskSubmitted", "TaskStarted", "TaskCompleted"]
    assert [(each.topic, each.events) for each in history.left_out] == [("results", 9)]


@pytest.mark.attack(5)
@pytest.mark.law(4)
def test_what_was_said_of_a_task_before_it_was_sent_costs_what_it_holds_once_it_is() -> None:
    def told(count: int) -> list[Record]:
        lies = [structs.replace(LATER.completed(), submission=number + 1) for number in range(count)]
        first = [registered(), started(), *lies]
        return _records(first, iter([LATER.submitted(), structs.replace(LATER.completed(), submission=0)]))

    (packed,) = folded([told(300)[:100], told(300)[100:]])["task_results"]
    result: Any = unpacker(TASK_RESULTS)(packed)
    assert result.offset == 301
    small, large = told(MANY // 16), told(MANY // 4)
    check_linear(asyncio.run(_cost(small, 50)), asyncio.run(_cost(large, 50)))


@pytest.mark.attack(41)
def test_a_cancel_of_a_task_that_was_never_sent_shows_nothing() -> None:
    """Its documents are there for the submission that may yet come, and are nobody's task until then."""
    (packed,) = folded([_records([registered()], iter([_cancel()]))])["task_status"]
    status: Any = unpacker(TASK_STATUS)(packed)
    assert (status.submitted_offset, status.status) == (None, "received")


@pytest.mark.law(3)
def test_a_share_told_again_after_it_was_taken_back_changes_nothing() -> None:
    share, back = _share(0), _share(1)
    records = _records([function()], iter([share, back, share]))
    (packed,) = folded([records])["access"]
    access: Any = unpacker(ACCESS)(packed)
    assert isinstance(access, Access)
    assert access.users == []


def test_the_measure_tells_quadratic_work_from_linear_work() -> None:
    """So that the tests above can fail."""

    def work(size: int) -> Cost:
        async def scan() -> None:
            seen: list[int] = []
            for number in range(size):
                if number not in seen:
                    seen.append(number)

        return asyncio.run(cost(scan, rounds=1))

    with pytest.raises(AssertionError):
        check_linear(work(2_500), work(10_000))
