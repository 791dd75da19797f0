"""Laws 3, 5 and 7 as properties of the one rule of a task's life, over arbitrary partitions."""

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.partitions import GAP, Log, about_task, lives, partitions, start

from funcledger_schemas import events as e
from funcledger_schemas.lifecycle import OUTCOMES, Epochs, Life, Status, advance, status_of_outcome


@given(partitions(), st.data())
@settings(max_examples=200)
def test_law_3_a_copy_of_any_event_at_any_later_place_changes_nothing(log: Log, data: st.DataObject) -> None:
    copied = list(log)
    for _ in range(data.draw(st.integers(1, 3)) if log else 0):
        place = data.draw(st.integers(0, len(log) - 1))
        offset, event = log[place]
        later = data.draw(st.integers(place, len(log) - 1)) * GAP + data.draw(st.integers(1, GAP - 1))
        copied.append((max(later, offset + 1), event))
    # Two copies may fall on one offset; then either order will do.
    assert lives(sorted(copied, key=lambda record: record[0])) == lives(log)


@given(partitions())
@settings(max_examples=100)
def test_law_5_the_first_outcome_that_counts_stands(log: Log) -> None:
    epochs, first = Epochs(), dict[tuple[str, str, str], int]()
    for offset, event in log:
        if epochs.admit(offset, event) and isinstance(
            event, e.TaskCompleted | e.TaskFailed | e.TaskCancelled
        ):
            first.setdefault((event.endpoint_id, event.owner, event.task_id), offset)
    found = lives(log)
    assert {key: life.outcome for key, life in found.items() if life.outcome is not None} == first
    assert not any(life.running for life in found.values() if life.outcome is not None)


@given(partitions())
@settings(max_examples=100)
def test_law_5_nothing_that_follows_an_outcome_changes_the_task(log: Log) -> None:
    life = Life()
    for offset, event in log:
        before = (life.attempts, life.running, life.outcome)
        changed = advance(life, offset, event)
        assert changed is (before != (life.attempts, life.running, life.outcome))
        if before[2] is not None:
            assert not changed


@given(partitions())
@settings(max_examples=100)
def test_law_7_every_event_of_a_zombie_is_void(log: Log) -> None:
    """From an admitted start on, only its own agent and the keeper are believed."""
    epochs, in_force = Epochs(), dict[str, int]()
    for offset, event in log:
        counts = epochs.admit(offset, event)
        if isinstance(event, e.EndpointStarted):
            if counts:
                assert event.supersedes >= in_force.get(event.endpoint_id, -1)
                in_force[event.endpoint_id] = offset
        elif isinstance(event, e.TaskEvent):
            epoch = getattr(event, "epoch", None)
            current = in_force.get(event.endpoint_id)
            assert counts is (epoch is None or current is None or epoch == current)
    assert {endpoint: epochs.current(endpoint) for endpoint in in_force} == in_force


@given(partitions(), st.data())
@settings(max_examples=100)
def test_law_7_a_record_delivered_again_is_admitted_as_it_was_the_first_time(
    log: Log, data: st.DataObject
) -> None:
    epochs, answers = Epochs(), list[bool]()
    for offset, event in log:
        answers.append(epochs.admit(offset, event))
        again = data.draw(st.integers(0, len(answers)))
        assert [epochs.admit(*record) for record in log[again : len(answers)]] == answers[again:]


@given(partitions(), st.data())
def test_law_7_a_follower_goes_on_from_the_epochs_it_kept(log: Log, data: st.DataObject) -> None:
    whole, before = Epochs(), Epochs()
    answers = [whole.admit(*record) for record in log]
    split = data.draw(st.integers(0, len(log)))
    for record in log[:split]:
        before.admit(*record)
    after = Epochs(before.known)
    assert [after.admit(*record) for record in log[split:]] == answers[split:]
    assert after.known == whole.known


@given(st.lists(st.booleans(), max_size=12), st.booleans(), st.booleans())
def test_law_7_of_two_agents_that_start_at_once_exactly_one_wins(
    turns: list[bool], had_predecessor: bool, a_is_first: bool
) -> None:
    """Both found the same epoch: who lands first is believed, the other never, however they go on."""
    found = 0 if had_predecessor else -1
    log: Log = [(0, start("laptop", -1))] if had_predecessor else []
    log += [(10, start("laptop", found)), (11, start("laptop", found))]
    epoch_of = {True: 10, False: 11} if a_is_first else {True: 11, False: 10}
    log += [
        (offset, about_task("TaskCompleted", "laptop", f"t{offset}", epoch_of[turn]))
        for offset, turn in enumerate(turns, 12)
    ]
    epochs = Epochs()
    answers = {offset: epochs.admit(offset, event) for offset, event in log}
    assert (answers[10], answers[11]) == (True, False)
    for offset, event in log[-len(turns) :] if turns else []:
        assert isinstance(event, e.TaskCompleted)
        assert answers[offset] is (event.epoch == 10)


def test_law_7_endpoints_that_share_a_partition_have_epochs_of_their_own() -> None:
    epochs = Epochs()
    assert epochs.admit(0, start("laptop", -1))
    assert epochs.admit(5, start("cluster", -1))
    assert epochs.admit(6, about_task("TaskStarted", "laptop", "t", 0))
    assert epochs.admit(7, about_task("TaskStarted", "cluster", "t", 5))
    assert not epochs.admit(8, about_task("TaskStarted", "cluster", "t", 0))


def test_law_7_epochs_stay_few_however_often_an_agent_starts() -> None:
    epochs = Epochs()
    for offset in range(1000):
        assert epochs.admit(offset, start("laptop", offset - 1))
    assert len(epochs.known["laptop"]) == Epochs.KEPT
    assert epochs.current("laptop") == 999


def test_law_6_attempts_are_counted_from_what_was_begun() -> None:
    life = Life()
    steps = [
        ("TaskStarted", 1, (1, True)),
        ("TaskAttemptFailed", 1, (1, False)),
        ("TaskStarted", 2, (2, True)),
        ("TaskStarted", 1, (2, True)),
        ("TaskAttemptFailed", 1, (2, True)),
        ("TaskAttemptFailed", 2, (2, False)),
        ("TaskStarted", 2, (2, False)),
        ("TaskStarted", 3, (3, True)),
        ("TaskFailed", 3, (3, False)),
        ("TaskStarted", 4, (3, False)),
    ]
    for offset, (what, attempt, expected) in enumerate(steps):
        advance(life, offset, about_task(what, "laptop", "t", 0, attempt))
        assert (life.attempts, life.running) == expected, f"after step {offset}"
    assert life.outcome == 8


def test_each_outcome_ends_a_task_in_a_state_of_its_own() -> None:
    ends = {what: about_task(what, "laptop", "t", 0) for what in OUTCOMES}
    found = {
        what: status_of_outcome(event)
        for what, event in ends.items()
        if isinstance(event, e.TaskCompleted | e.TaskFailed | e.TaskCancelled)
    }
    assert found == {
        "TaskCompleted": Status.SUCCESS, "TaskFailed": Status.FAILED, "TaskCancelled": Status.CANCELLED,
    }  # fmt: skip
    assert {status for status in Status if status.finished} == set(found.values())
