"""What single folds say of single stories; the laws are in tests/properties."""

import asyncio
from typing import Any

import pytest
from tests.support.folding import fold_into
from tests.support.teller import ENDPOINTS, FUNCTION, Teller

from funcledger_read_models.documents import (
    ACCESS,
    BATCH_RESULTS,
    ENDPOINT_HEALTH,
    INLINE_LIMIT,
    MODELS,
    TASK_HISTORY,
    TASK_RESULTS,
    TASK_STATUS,
    Model,
)
from funcledger_read_models.memory import MemoryStore
from funcledger_schemas import events as e


@pytest.fixture
def teller() -> Teller:
    return Teller()


def documents(teller: Teller, model: Model) -> list[Any]:
    """The model's documents after all that was told, which is tried at once and one by one."""

    async def found(batches: list[Any]) -> list[Any]:
        store = MemoryStore()
        await fold_into(store, batches)
        return [await store.find(each) for each in MODELS]

    at_once = asyncio.run(found([teller.records]))
    assert at_once == asyncio.run(found([[each] for each in teller.records]))
    return list(at_once[MODELS.index(model)])


def statuses(teller: Teller) -> list[str]:
    (status,), (in_batch,) = documents(teller, TASK_STATUS), documents(teller, BATCH_RESULTS)
    assert status.status == in_batch.status
    return [status.status, status.attempts, status.running]


def test_status_follows_the_attempts(teller: Teller) -> None:
    teller.submit(0, 0)
    assert statuses(teller) == ["received", 0, False]
    teller.started(0, 0)
    assert statuses(teller) == ["running", 1, True]
    teller.attempt_failed(0, 0)
    assert statuses(teller) == ["received", 1, False]
    teller.started(0, 1)
    teller.completed(0, 0)
    assert statuses(teller) == ["success", 2, False]


def test_attention_is_due_at_the_deadline_or_the_cancel_and_never_after_the_outcome(teller: Teller) -> None:
    teller.submit(0, 0)
    submitted_at = teller.records[-1].timestamp
    (status,) = documents(teller, TASK_STATUS)
    assert status.attention_at == status.deadline == submitted_at + 60_000
    teller.started(0, 0)
    teller.ask_cancel(0, 0)
    (status,) = documents(teller, TASK_STATUS)
    assert status.attention_at == status.cancel_requested_at == teller.records[-1].timestamp
    teller.kept(0, 0)
    (status,) = documents(teller, TASK_STATUS)
    assert (status.attention_at, status.status) == (None, "cancelled")
    assert status.cancel_requested_at is not None


def test_a_deadline_beyond_all_integers_stands_at_their_edge(teller: Teller) -> None:
    """A store must take whatever an event may hold, or one record would stop them all."""
    teller.submit(0, 0)
    event: Any = teller.records[0].event()
    teller.append(type(event)(**{**{f: getattr(event, f) for f in event.__struct_fields__},
                                 "task_id": "late", "expires_in": 2**63 - 1}))  # fmt: skip
    assert sorted(each.deadline for each in documents(teller, TASK_STATUS))[-1] == 2**63 - 1


@pytest.mark.parametrize(("again", "conflict"), [(0, False), (1, True), (2, True)])
def test_the_first_submission_stands_and_another_request_is_a_conflict(
    teller: Teller, again: int, conflict: bool
) -> None:
    teller.submit(0, 0)
    (before,) = documents(teller, TASK_STATUS)
    teller.submit_again(0, again)
    (after,) = documents(teller, TASK_STATUS)
    assert after.conflict is conflict
    before.conflict = conflict
    assert after == before
    # Nor is the task in the batch that the second one named.
    assert len(documents(teller, BATCH_RESULTS)) == 1
    (history,) = documents(teller, TASK_HISTORY)
    assert [each.void for each in history.entries] == [False, True]


def test_history_lists_copies_once_and_flags_what_was_ignored(teller: Teller) -> None:
    teller.submit(0, 0)
    teller.agent_starts(0, 0)
    teller.agent_starts(0, 0)
    teller.started(0, 0)
    teller.copy(0, 0)
    teller.completed(0, 3)
    teller.completed(0, 0)
    teller.cancelled(0, 0)
    teller.ask_cancel(0, 0)
    (history,) = documents(teller, TASK_HISTORY)
    assert [(each.topic, each.offset, each.type, each.void) for each in history.entries] == [
        ("tasks", 0, "TaskSubmitted", False),
        ("tasks", 1, "TaskCancelRequested", False),
        ("results", 2, "TaskStarted", False),
        ("results", 4, "TaskCompleted", True),  # the agent that was taken over
        ("results", 5, "TaskCompleted", False),
        ("results", 6, "TaskCancelled", True),  # not the first outcome
    ]


def test_payloads_over_the_inline_limit_stay_on_the_log(teller: Teller) -> None:
    teller.submit(0, 0)
    teller.completed(0, 3)
    (large,) = documents(teller, TASK_RESULTS)
    assert large.payload_size > INLINE_LIMIT
    assert large.payload is None
    assert (large.partition, large.offset) == (0, 0)


def test_of_a_cancelled_task_there_is_nothing_to_read_from_the_log(teller: Teller) -> None:
    teller.submit(0, 0)
    teller.cancelled(0, 0)
    (result,) = documents(teller, TASK_RESULTS)
    assert (result.status, result.payload, result.payload_size) == ("cancelled", b"", 0)


def test_health_is_that_of_the_agent_in_force(teller: Teller) -> None:
    teller.agent_starts(0, 0)
    teller.heartbeat(0, 1)
    teller.agent_starts(0, 1)
    teller.heartbeat(0, 2)
    teller.agent_starts(0, 3)  # comes late: what it supersedes has been superseded
    teller.heartbeat(0, 3)  # of the one before that
    (health,) = documents(teller, ENDPOINT_HEALTH)
    assert (health.epochs, health.host, health.started_workers) == ([0, 1], "host 1", 1)
    assert (health.heartbeat_epoch, health.busy) == (1, 3)
    teller.agent_stops(0, 3)
    (health,) = documents(teller, ENDPOINT_HEALTH)
    assert health.stopped_epoch == 1


def test_access_is_what_was_shared_and_not_taken_back(teller: Teller) -> None:
    share: dict[str, Any] = {"function_id": FUNCTION, "owner": "ann"}
    teller.administered(4, 0)
    for kind, who in (("user", "bob"), ("user", "cy"), ("group", "lab 2")):
        teller.append(e.FunctionShared(**teller.base(), **share, grantee_kind=kind, grantee=who))
    teller.append(e.FunctionUnshared(**teller.base(), **share, grantee_kind="user", grantee="bob"))
    teller.administered(5, 1)
    function, endpoint = sorted(documents(teller, ACCESS), key=lambda each: str(each.kind), reverse=True)
    assert (function.users, function.groups, function.public) == (["cy"], ["lab", "lab 2"], False)
    assert (endpoint.resource_id, endpoint.public, endpoint.users) == (ENDPOINTS[1], True, [])
