"""Laws 2 to 5, over histories that hold everything that goes wrong."""

from random import Random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.folding import folded
from tests.support.histories import histories, history, interleave, split

from funcledger_event_log.records import DecodeError, Record
from funcledger_read_models.documents import BATCH_RESULTS, TASK_HISTORY, TASK_RESULTS, TASK_STATUS
from funcledger_read_models.packing import unpacker
from funcledger_schemas import events as e

RANDOM = st.randoms(use_true_random=False)
FAST = settings(max_examples=150, deadline=None)


@FAST
@given(histories(), RANDOM)
def test_law_2_replaying_equals_following(records: list[Record], random: Random) -> None:
    """Read in batches of any sizes, as when it was live, or one by one, or at once: the same bytes."""
    replayed = folded([records])
    assert folded(split(records, random)) == replayed
    assert folded([each] for each in records) == replayed


@FAST
@given(histories(), RANDOM)
def test_law_3_a_record_delivered_again_changes_nothing(records: list[Record], random: Random) -> None:
    """A follower that starts again somewhere before, any number of times, in any batches."""
    deliveries, seen = [], 0
    for batch in split(records, random):
        deliveries.append(batch)
        seen += len(batch)
        if random.random() < 0.3:
            deliveries.append(records[random.randrange(seen + 1) : seen])
    assert folded(deliveries) == folded([records])


@FAST
@given(histories(), RANDOM)
def test_law_3_a_copy_appended_later_changes_nothing(records: list[Record], random: Random) -> None:
    """Every event there is comes once more, in any order, at the end of its partition."""
    again = list(records)
    random.shuffle(again)
    ends: dict[tuple[str, int], int] = {}
    for record in records:
        ends[record.topic, record.partition] = record.offset + 1
    copies = []
    for record in again:
        where = record.topic, record.partition
        copies.append(
            Record(*where, ends[where], 1_800_000_000_000, record.key, record.headers, record.value)
        )
        ends[where] += 1
    assert folded([records, *split(copies, random)]) == folded([records])


@FAST
@given(histories(), RANDOM)
def test_law_4_any_interleaving_of_partitions_gives_one_model(records: list[Record], random: Random) -> None:
    """Tasks read long before their results, or long after, in any batches."""
    assert folded(split(interleave(records, random), random)) == folded([records])


@FAST
@given(histories(), RANDOM)
def test_law_5_the_first_outcome_stands(records: list[Record], random: Random) -> None:
    """Whatever is read when, each task's documents show its first outcome that counts, and no other."""
    expected = first_outcomes(records)
    dump = folded(split(interleave(records, random), random))
    results: list[Any] = [unpacker(TASK_RESULTS)(each) for each in dump["task_results"]]
    found = {(each.owner, each.task_id, each.endpoint_id): (each.offset, each.status) for each in results}
    assert found == expected
    for model in (TASK_STATUS, BATCH_RESULTS):
        documents: list[Any] = [unpacker(model)(each) for each in dump[model.name]]
        ended = {
            (each.owner, each.task_id, each.endpoint_id): (each.outcome_offset, each.status)
            for each in documents
            if each.outcome_offset is not None
        }
        assert ended == expected


def first_outcomes(records: list[Record]) -> dict[tuple[str, str, str], tuple[int, str]]:
    """The rule once more in its plainest words, sharing nothing with the folds."""
    in_force: dict[str, int] = {}
    first: dict[tuple[str, str, str], tuple[int, str]] = {}
    submitted = first_submissions(records)
    names = {e.TaskCompleted: "success", e.TaskFailed: "failed", e.TaskCancelled: "cancelled"}
    for record in records:
        try:
            event = record.event()
        except DecodeError:
            continue
        if isinstance(event, e.EndpointStarted):
            if event.supersedes >= in_force.get(event.endpoint_id, -1):
                in_force[event.endpoint_id] = record.offset
        elif isinstance(event, e.TaskCompleted | e.TaskFailed | e.TaskCancelled):
            current = in_force.get(event.endpoint_id, event.epoch)
            key = event.owner, event.task_id, event.endpoint_id
            offset, batch_id = submitted.get(key, (-1, ""))
            told = event.batch_id == batch_id and event.submission in (None, offset)
            if told and (event.epoch is None or event.epoch == current):
                first.setdefault(key, (record.offset, names[type(event)]))
    return first


def first_submissions(records: list[Record]) -> dict[tuple[str, str, str], tuple[int, str]]:
    """Where each task was first submitted, and in which batch."""
    first: dict[tuple[str, str, str], tuple[int, str]] = {}
    for record in records:
        if record.type == "TaskSubmitted" and isinstance(event := record.event(), e.TaskSubmitted):
            key = event.owner, event.task_id, event.endpoint_id
            first.setdefault(key, (record.offset, event.batch_id))
    return first


@FAST
@given(histories(), RANDOM)
def test_law_15_what_was_not_submitted_shows_nothing(records: list[Record], random: Random) -> None:
    """No document tells of a task that nobody submitted, nor in another batch, whatever is read when."""
    submitted = first_submissions(records)
    dump = folded(split(interleave(records, random), random))
    shown: dict[str, list[Any]] = {
        model.name: [unpacker(model)(each) for each in dump[model.name]]
        for model in (TASK_RESULTS, BATCH_RESULTS, TASK_HISTORY)
    }
    for document in shown["task_results"] + shown["batch_results"]:
        key = document.owner, document.task_id, document.endpoint_id
        assert submitted[key][1] == document.batch_id
    cancels = {e.TaskCancelRequested.__name__}
    for document in shown["task_history"]:
        key = document.owner, document.task_id, document.endpoint_id
        assert key in submitted or {entry.type for entry in document.entries} <= cancels
    statuses: list[Any] = [unpacker(TASK_STATUS)(each) for each in dump["task_status"]]
    for status in statuses:
        if (status.owner, status.task_id, status.endpoint_id) not in submitted:
            assert (status.status, status.attempts, status.submitted_offset) == ("received", 0, None)


def test_the_histories_hold_what_the_laws_are_about() -> None:
    """A law proven over histories without copies, zombies or second outcomes would be an empty one."""
    kinds: set[str | None] = set()
    voids = late = 0
    for seed in range(30):
        records = history(seed, 60)
        kinds |= {each.type for each in records}
        outcomes = sum(each.type in ("TaskCompleted", "TaskFailed", "TaskCancelled") for each in records)
        late += outcomes - len(first_outcomes(records))
        dump = folded([records])
        voids += sum(entry.count(b"TaskCompleted") > 1 for entry in dump["task_history"])
    assert {None, "EndpointStarted", "FunctionUnshared", "EndpointHeartbeat"} <= kinds
    assert late > 50
    assert voids > 10
