"""The contract of ``ReadModelStore``, kept by every adapter."""

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from tests.support.deadlines import scaled
from tests.support.stores import ADAPTERS, STORES

from funcledger_read_models.documents import (
    ACCESS,
    BATCH_RESULTS,
    FUNCTION_CATALOGUE,
    TASK_HISTORY,
    TASK_RESULTS,
    TASK_STATUS,
    Access,
    BatchResult,
    FunctionEntry,
    HistoryEntry,
    TaskHistory,
    TaskResult,
    TaskStatus,
)
from funcledger_read_models.port import ReadModelStore, StaleWriter

TASKS = ("tasks", 0)


@pytest.fixture(params=STORES)
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[ReadModelStore]:
    async with ADAPTERS[request.param](tmp_path) as store:
        yield store


def task(task_id: str, owner: str = "ann", endpoint_id: str = "e1", **fields: Any) -> TaskStatus:
    return TaskStatus(owner=owner, task_id=task_id, endpoint_id=endpoint_id, batch_id="b", **fields)


async def save(store: ReadModelStore, *tasks: TaskStatus) -> None:
    await store.save({TASK_STATUS: {TASK_STATUS.key_of(each): each for each in tasks}}, {}, {})


async def ids(store: ReadModelStore, *prefix: str, where: Any = None, **options: Any) -> list[str]:
    found = await store.find(TASK_STATUS, prefix, where, **options)
    return [each.task_id for each in found if isinstance(each, TaskStatus)]


async def test_a_saved_document_comes_back_equal_whatever_its_values(store: ReadModelStore) -> None:
    documents: list[Any] = [
        (TASK_STATUS, task("t", "o\x00'\"ö𝄞", deadline=2**63 - 1, attention_at=-(2**63), conflict=True)),
        (TASK_STATUS, task("", "", "")),
        (
            TASK_RESULTS,
            TaskResult(
                owner="o", task_id="t", endpoint_id="e", batch_id="", status="success", partition=1, offset=2,
                finished_at=3, attempt=1, run_time=float("inf"), cpu_time=-0.0, payload=b"\x00\xff" * 9,
            ),
        ),
        (
            TASK_HISTORY,
            TaskHistory(
                owner="o", task_id="t", endpoint_id="e",
                entries=[
                    HistoryEntry(topic="tasks", partition=0, offset=at, timestamp=1, type="T", event_id="i")
                    for at in range(100)
                ],
            ),
        ),
        (ACCESS, Access(kind="function", resource_id="f", owner="o", public=False, users=["a", "b"])),
    ]  # fmt: skip
    await store.save({model: {model.key_of(each): each} for model, each in documents[1:]}, {}, {})
    await store.save({model: {model.key_of(each): each} for model, each in documents[:1]}, {}, {})
    for model, document in documents:
        key = model.key_of(document)
        assert await store.get(model, key) == document
        assert (await store.load({model: [key]}))[model] == {key: document}


async def test_load_gives_those_that_exist_of_any_number_and_nothing_else(store: ReadModelStore) -> None:
    many = [task(f"t{number:04}", attempts=number) for number in range(1500)]
    await save(store, *many)
    wanted = [TASK_STATUS.key_of(each) for each in many] + [
        ("ann", f"x{number}", "e1") for number in range(700)
    ]
    assert (await store.load({TASK_STATUS: wanted}))[TASK_STATUS] == {
        TASK_STATUS.key_of(each): each for each in many
    }
    # Part of a key, or a key of another model, is nothing.
    assert (await store.load({TASK_RESULTS: wanted[:1]}))[TASK_RESULTS] == {}
    assert await store.get(TASK_STATUS, ("ann", "t0001", "e2")) is None


async def test_a_saved_document_replaces_the_one_before_and_where_it_is_found(store: ReadModelStore) -> None:
    await save(store, task("t", status="running", attention_at=5))
    await save(store, task("t", status="success", function_id="f", attention_at=None))
    assert await ids(store, where={"status": "running"}) == []
    assert await ids(store, where={"status": "success", "function_id": "f"}) == ["t"]
    assert await store.due(TASK_STATUS, 10, 10) == []


async def test_documents_and_positions_are_saved_together_or_not_at_all(store: ReadModelStore) -> None:
    await store.save({}, {TASKS: 5, ("results", 3): 1}, {})
    first = task("t")
    await store.save({TASK_STATUS: {TASK_STATUS.key_of(first): first}}, {TASKS: 7}, {TASKS: 5})
    assert await store.positions() == {TASKS: 7, ("results", 3): 1}
    unencodable = task("u", attempts=2**70)
    with pytest.raises((OverflowError, ValueError)):
        await store.save(
            {TASK_STATUS: {TASK_STATUS.key_of(each): each for each in (task("v"), unencodable)}},
            {TASKS: 9},
            {TASKS: 7},
        )
    assert await store.positions() == {TASKS: 7, ("results", 3): 1}
    assert await ids(store) == ["t"]


async def test_a_save_from_positions_older_than_the_stored_ones_is_refused_whole(
    store: ReadModelStore,
) -> None:
    await store.save({}, {TASKS: 5}, {TASKS: 0})
    late = task("late")
    for before in ({TASKS: 3}, {}):
        with pytest.raises(StaleWriter, match="tasks:0"):
            await store.save(
                {TASK_STATUS: {TASK_STATUS.key_of(late): late}}, {("results", 0): 1, TASKS: 6}, before
            )
    assert await store.positions() == {TASKS: 5}
    assert await store.get(TASK_STATUS, TASK_STATUS.key_of(late)) is None


async def test_find_gives_pages_in_key_order_and_its_reverse(store: ReadModelStore) -> None:
    keys = [(owner, f"t{number}", e) for owner in ("ann", "anna", "bo") for number in range(5) for e in "xy"]
    await save(store, *(task(task_id, owner, endpoint_id) for owner, task_id, endpoint_id in reversed(keys)))
    mine = [key for key in keys if key[0] == "ann"]
    for descending, expected in ((False, mine), (True, mine[::-1])):
        seen: list[Any] = []
        while True:
            after = TASK_STATUS.key_of(seen[-1]) if seen else None
            page = await store.find(TASK_STATUS, ("ann",), after=after, limit=3, descending=descending)
            assert len(page) <= 3
            if not page:
                break
            seen += page
        assert [TASK_STATUS.key_of(each) for each in seen] == expected
    assert len(await store.find(TASK_STATUS)) == 30
    assert [TASK_STATUS.key_of(each) for each in await store.find(TASK_STATUS, keys[0])] == keys[:1]
    assert await store.find(TASK_STATUS, keys[0], after=keys[0]) == []


async def test_find_takes_only_what_the_filters_say(store: ReadModelStore) -> None:
    await save(
        store,
        task("t1", status="running", function_id="f"),
        task("t2", status="failed", function_id="f"),
        task("t3", status="failed", function_id="g", endpoint_id="e2"),
        task("t4", owner="bo", status="failed", function_id="f"),
    )
    assert await ids(store, "ann", where={"status": "failed"}) == ["t2", "t3"]
    assert await ids(store, "ann", where={"status": ["failed", "running"]}, descending=True) == [
        "t3",
        "t2",
        "t1",
    ]
    assert await ids(store, "ann", where={"status": [], "function_id": "f"}) == []
    assert await ids(store, "ann", where={"status": "failed", "endpoint_id": "e2"}) == ["t3"]
    assert await ids(store, "ann", where={"task_id": ["t4", "t3", "t1"]}) == ["t1", "t3"]
    assert await ids(store, where={"function_id": "' OR 1=1 --"}) == []
    assert await ids(store, "ann", where={"status": "failed"}, after=("ann", "t2", "e1")) == ["t3"]


async def test_find_filters_by_truth_and_within_a_batch(store: ReadModelStore) -> None:
    functions = [
        FunctionEntry(
            function_id=name, owner="ann", name=name, description=None, metadata=None, public=name == "f",
            group=None, python_version="", dill_version="", payload_sha256="", payload_size=0, partition=0,
            offset=0, registered_at=0,
        )
        for name in "fg"
    ]  # fmt: skip
    results = [
        BatchResult(owner="ann", batch_id=batch, task_id=number, endpoint_id="e", status=status)
        for batch, number, status in (("b", "1", "success"), ("b", "2", "failed"), ("c", "3", "failed"))
    ]
    await store.save(
        {model: {model.key_of(each): each for each in docs}
         for model, docs in ((FUNCTION_CATALOGUE, functions), (BATCH_RESULTS, results))}, {}, {},
    )  # fmt: skip
    assert await store.find(FUNCTION_CATALOGUE, where={"public": True, "owner": "ann"}) == functions[:1]
    assert await store.find(BATCH_RESULTS, ("ann", "b"), {"status": "failed"}) == results[1:2]


@pytest.mark.parametrize(
    ("prefix", "where", "after", "complaint"),
    [
        ((), {"worker": "w"}, None, "cannot be filtered by 'worker'"),
        ((), {"document": "x"}, None, "cannot be filtered"),
        (("a", "b", "c", "d"), {}, None, "has 3 fields"),
        (("ann",), {}, ("bo", "t", "e"), "is not the key"),
        ((), {}, ("ann",), "is not the key"),
    ],
)
async def test_find_refuses_what_the_model_cannot_answer(
    store: ReadModelStore, prefix: Any, where: Any, after: Any, complaint: str
) -> None:
    with pytest.raises(ValueError, match=complaint):
        await store.find(TASK_STATUS, prefix, where, after=after)


async def test_due_gives_the_earliest_first_up_to_the_time_asked(store: ReadModelStore) -> None:
    times = {"t1": 30, "t2": None, "t3": 10, "t4": 20, "t5": 31, "t6": 10}
    await save(store, *(task(name, attention_at=at) for name, at in times.items()))
    due: list[Any] = await store.due(TASK_STATUS, 30, 10)
    assert [each.task_id for each in due] == ["t3", "t6", "t4", "t1"]
    assert await store.due(TASK_STATUS, 30, 2) == due[:2]


async def test_what_a_reader_holds_does_not_change_with_the_store_nor_the_store_with_it(
    store: ReadModelStore,
) -> None:
    saved = task("t")
    await save(store, saved)
    saved.status = "changed by its writer"
    read: Any = await store.get(TASK_STATUS, ("ann", "t", "e1"))
    assert read.status == "received"
    read.status = "changed by a reader"
    again: Any = await store.get(TASK_STATUS, ("ann", "t", "e1"))
    assert again.status == "received"


async def test_wait_change_returns_at_the_next_save_or_when_time_is_over(store: ReadModelStore) -> None:
    begun = time.monotonic()
    await store.wait_change(0.02)
    assert time.monotonic() - begun >= 0.015
    waiting = [asyncio.create_task(store.wait_change(30)) for _ in range(2)]
    await asyncio.sleep(0)
    await save(store, task("t"))
    done, _ = await asyncio.wait(waiting, timeout=scaled(5))
    assert len(done) == 2


async def test_readers_see_saved_states_only_while_a_writer_writes(store: ReadModelStore) -> None:
    async def write() -> None:
        for number in range(60):
            # One field from each end of the document, so that a mixture would show.
            await save(store, task("t", attempts=number, finished_at=number), task("u", attempts=number))

    async def read() -> int:
        seen = 0
        for _ in range(60):
            found: Any = await store.find(TASK_STATUS, ("ann", "t"))
            if found:
                assert found[0].attempts == found[0].finished_at >= seen
                seen = found[0].attempts
        return seen

    await asyncio.gather(write(), read(), read())
    assert await read() == 59
