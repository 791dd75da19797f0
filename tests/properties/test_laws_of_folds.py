"""Laws 2 to 5, over histories that hold everything that goes wrong."""

from random import Random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.folding import folded
from tests.support.histories import histories, history, interleave, split

from funcledger_event_log.records import DecodeError, Record
from funcledger_read_models.documents import BATCH_RESULTS, TASK_RESULTS, TASK_STATUS
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
            if event.epoch is None or event.epoch == current:
                key = event.owner, event.task_id, event.endpoint_id
                first.setdefault(key, (record.offset, names[type(event)]))
    return first


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
