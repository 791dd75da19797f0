"""Both forms of a batch, and how calls are packed."""

import json
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.scripted import Asked, Reply, scripted

from funcledger import errors
from funcledger.batch import Batch
from funcledger.settings import Server
from funcledger.submission import (
    MOST_BYTES,
    MOST_TASKS,
    NewTask,
    TaskOptions,
    grouped,
    parts,
    serialise,
    submit,
)
from funcledger.transport import Transport
from funcledger_payloads import load
from funcledger_schemas.ids import new_id
from funcledger_schemas.limits import PAYLOAD_LIMIT

FUNCTION, ENDPOINT = new_id(), new_id()


def arguments(batch: Batch) -> list[object]:
    return [load(call.payload_format, call.payload) for call in batch.calls]


def test_the_tutorials_form_takes_the_functions_own_arguments() -> None:
    batch = Batch()
    batch.add(1, 2, args="mine", kwargs="too", endpoint_id=UUID(ENDPOINT), function_id=UUID(FUNCTION))
    batch.add(endpoint_id="laptop", function_id=FUNCTION.upper())
    assert arguments(batch) == [((1, 2), {"args": "mine", "kwargs": "too"}), ((), {})]
    assert [(call.endpoint, call.function_id) for call in batch.calls] == [
        (ENDPOINT, FUNCTION),
        ("laptop", FUNCTION),
    ]


def test_todays_form_takes_the_function_and_its_arguments_packed() -> None:
    batch = Batch()
    batch.add(FUNCTION, (1, 2), {"x": 3})
    batch.add(function_id=FUNCTION, args=[4])
    batch.add(FUNCTION, kwargs={"y": 5})
    batch.add(FUNCTION)
    assert arguments(batch) == [((1, 2), {"x": 3}), ((4,), {}), ((), {"y": 5}), ((), {})]
    assert {call.endpoint for call in batch.calls} == {None}
    assert len(batch) == 4


def test_what_is_neither_form_is_refused_with_both() -> None:
    for args, kwargs in (((FUNCTION, 1, 2, 3), {}), ((), {}), ((1,), {"function_id": FUNCTION})):
        with pytest.raises(errors.InvalidRequest, match=r"endpoint_id=.*args=None"):
            Batch().add(*args, **kwargs)
    with pytest.raises(errors.InvalidRequest, match="also needs function_id"):
        Batch().add(1, endpoint_id=ENDPOINT)
    with pytest.raises(errors.InvalidRequest, match="function_id is not a UUID: 'square'"):
        Batch().add("square")


def test_json_is_written_where_it_is_asked_for() -> None:
    batch = Batch(serializer="json")
    batch.add(FUNCTION, [1], {"a": None})
    assert json.loads(batch.calls[0].payload) == [[1], {"a": None}]


def test_law_12_arguments_at_the_limit_pass_and_one_byte_more_is_refused_with_both_numbers() -> None:
    frame = len(serialise((b"x" * 100_000,), {})[1]) - 100_000
    most = PAYLOAD_LIMIT - frame
    for size in (most - 1, most):
        assert len(serialise((b"x" * size,), {})[1]) == PAYLOAD_LIMIT - most + size
    with pytest.raises(errors.ArgumentsTooLarge, match=r"5,242,881 bytes .* limit is 5,242,880"):
        serialise((b"x" * (most + 1),), {})


@given(st.lists(st.integers(0, PAYLOAD_LIMIT), max_size=40), st.integers(0, 3))
def test_no_request_is_too_long_and_none_loses_a_task_or_its_place(sizes: list[int], thousands: int) -> None:
    class Sized(bytes):
        """Payloads that say they are long."""

        size = 0

        def __len__(self) -> int:
            return self.size

    def payload(size: int) -> bytes:
        made = Sized()
        made.size = size
        return made

    all_sizes = sizes + [8] * (thousands * MOST_TASKS)
    tasks = [NewTask(str(n), ENDPOINT, FUNCTION, "pickle", payload(size)) for n, size in enumerate(all_sizes)]
    cut = list(parts(tasks))
    assert [task.task_id for part in cut for task in part] == [task.task_id for task in tasks]
    for part in cut:
        assert 0 < len(part) <= MOST_TASKS
        assert sum(len(task.payload) for task in part) <= MOST_BYTES


def test_tasks_that_share_everything_share_a_group_and_keep_their_order() -> None:
    fast, slow = TaskOptions(walltime=1), TaskOptions(walltime=9)
    tasks = [
        NewTask("1", ENDPOINT, FUNCTION, "pickle", b"", fast),
        NewTask("2", ENDPOINT, FUNCTION, "dill", b"", fast),
        NewTask("3", ENDPOINT, FUNCTION, "pickle", b"", slow),
        NewTask("4", ENDPOINT, FUNCTION, "pickle", b"", fast),
    ]
    assert [[task.task_id for task in group] for group in grouped(tasks)] == [["1", "4"], ["2"], ["3"]]


def test_attack_row_6_options_a_server_does_not_know_are_not_sent_to_it() -> None:
    """A newer SDK works with an older server, as long as it is not asked for what that cannot do."""

    def answer(asked: Asked, _: int) -> Reply:
        return Reply(body=b'{"version": "0.0.9", "task_fields": ["walltime"], "position": ""}')

    with scripted(answer) as server:
        transport = Transport(Server(server.url, "flu_x"))
        plain, known, unknown = TaskOptions(), TaskOptions(walltime=5.0), TaskOptions(max_attempts=1)
        for options in (plain, known):
            submit(transport, new_id(), [NewTask(new_id(), ENDPOINT, FUNCTION, "pickle", b"", options)])
        with pytest.raises(errors.InvalidRequest, match="does not know max_attempts"):
            submit(transport, new_id(), [NewTask(new_id(), ENDPOINT, FUNCTION, "pickle", b"", unknown)])
        transport.close()
    assert [asked.path for asked in server.asked] == ["/v1/tasks", "/version", "/v1/tasks"]
    assert b"walltime" not in server.asked[0].body
    assert b'"walltime":5.0' in server.asked[2].body
