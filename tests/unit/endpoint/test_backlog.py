"""The backlog: owners in turn, each in log order, few payloads in memory."""

import hashlib
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from funcledger_endpoint.backlog import Backlog
from funcledger_endpoint.task import Task
from funcledger_schemas.events import TaskSubmitted

SIZE = 100
WHOLE = TaskSubmitted(
    event_id="", occurred_at=0, actor="", endpoint_id="", owner="", task_id="", batch_id="", batch_size=None,
    batch_index=None, function_id="", function_hash="", request_digest="", walltime=None, max_attempts=3,
    expires_in=1, resource_specification=None, endpoint_config=None, payload_format="pickle",
    payload_sha256=hashlib.sha256(bytes(SIZE)).hexdigest(), payload_size=SIZE, payload=bytes(SIZE),
)  # fmt: skip


def task(offset: int, owner: str) -> Task:
    return Task(offset, owner, str(offset), "", 0, SIZE, 3, WHOLE)


def drain(backlog: Backlog, most: int | None = None) -> list[tuple[str, int]]:
    """Take tasks one after another, loading light ones as they are asked for."""
    taken: list[tuple[str, int]] = []
    while most is None or len(taken) < most:
        load(backlog)
        head = backlog.head()
        if head is None:
            break
        taken.append((head.owner, head.offset))
        backlog.pop()
    return taken


def load(backlog: Backlog) -> list[Task]:
    lean = backlog.lean()
    for light in lean:
        light.submission = WHOLE
    backlog.load({light.owner for light in lean})
    return lean


def test_owners_take_turns_and_each_ones_tasks_keep_their_order() -> None:
    backlog = Backlog()
    for offset in range(6):
        backlog.add(task(offset, "ada"))
    backlog.add(task(6, "grace"))
    backlog.add(task(7, "grace"))
    assert drain(backlog) == [
        ("ada", 0), ("grace", 6), ("ada", 1), ("grace", 7), ("ada", 2), ("ada", 3), ("ada", 4), ("ada", 5),
    ]  # fmt: skip


def test_a_hundred_thousand_tasks_of_one_owner_do_not_hold_up_anothers_one() -> None:
    backlog = Backlog(most=1000)
    for offset in range(100_000):
        backlog.add(task(offset, "ada"))
    backlog.add(task(100_000, "grace"))
    assert ("grace", 100_000) in drain(backlog, 2)


def test_no_more_than_the_read_ahead_is_held_whole_and_the_rest_is_read_as_its_turn_nears() -> None:
    backlog = Backlog(most=100)
    tasks = [task(offset, "ada") for offset in range(1000)]
    for each in tasks:
        backlog.add(each)
    assert sum(each.submission is not None for each in tasks) == 100
    assert not backlog.lean()
    drain(backlog, 51)
    assert [each.offset for each in backlog.lean(10)] == list(range(100, 110))


def test_bytes_bound_what_is_held_too() -> None:
    backlog = Backlog(most_bytes=10 * SIZE)
    for offset in range(100):
        backlog.add(task(offset, "ada"))
    assert backlog.held == (10, 10 * SIZE)


def test_a_parked_owner_waits_and_the_others_go_on() -> None:
    backlog = Backlog()
    for offset, owner in enumerate(["ada", "grace", "ada", "grace"]):
        backlog.add(task(offset, owner))
    backlog.head()
    backlog.park()
    assert drain(backlog) == [("grace", 1), ("grace", 3)]
    backlog.unpark("ada")
    assert drain(backlog) == [("ada", 0), ("ada", 2)]


def test_a_task_closed_while_it_waits_is_passed_over() -> None:
    backlog = Backlog(most=2)
    tasks = [task(offset, "ada") for offset in range(6)]
    for each in tasks:
        backlog.add(each)
    tasks[0].closed = tasks[4].closed = True
    assert [offset for _, offset in drain(backlog)] == [1, 2, 3, 5]


@given(
    st.integers(1, 6),
    st.lists(
        st.one_of(
            st.tuples(st.just("add"), st.sampled_from(["ada", "grace", "mary"])),
            st.tuples(st.just("take"), st.just("")),
            st.tuples(st.just("give back"), st.just("")),
            st.tuples(st.just("load"), st.just("")),
        )
    ),
)
def test_nothing_is_lost_doubled_or_out_of_its_owners_order(most: int, steps: list[tuple[str, Any]]) -> None:
    backlog = Backlog(most=most)
    waiting: dict[str, list[int]] = {"ada": [], "grace": [], "mary": []}
    taken: list[Task] = []
    for offset, (what, owner) in enumerate(steps):
        if what == "add":
            backlog.add(task(offset, owner))
            waiting[owner].append(offset)
        elif what == "take" and (head := backlog.head()) is not None:
            backlog.pop()
            assert waiting[head.owner].pop(0) == head.offset
            taken.append(head)
        elif what == "give back":
            backlog.give_back(taken)
            for each in taken:
                waiting[each.owner] = sorted([*waiting[each.owner], each.offset])
            taken = []
        elif what == "load":
            load(backlog)
    rest = drain(backlog)
    for owner, offsets in waiting.items():
        assert [offset for whose, offset in rest if whose == owner] == offsets
    assert backlog.held == (0, 0)
