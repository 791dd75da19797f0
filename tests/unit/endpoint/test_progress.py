"""What an agent commits (law 6): a lost commit costs time, a kept one never correctness."""

from collections.abc import Iterator

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from funcledger_endpoint import progress as module
from funcledger_endpoint.progress import Mark, Progress


@pytest.fixture(autouse=True, scope="module")
def _no_overlap() -> Iterator[None]:
    patch = pytest.MonkeyPatch()
    patch.setattr(module, "OVERLAP", 0)
    yield
    patch.undo()


@given(
    st.integers(0, 5), st.lists(st.sampled_from(["submit", "begin", "end", "other"]), max_size=60), st.data()
)
def test_every_result_of_a_task_from_l_on_is_behind_r(
    before: int, steps: list[str], data: st.DataObject
) -> None:
    """``before`` tasks were there at the start, begun by an earlier agent at any result from 3 on."""
    epoch = 10
    progress = Progress(0, before, Mark(3, 1), [1, epoch], epoch + 1)
    results = {offset: [3] for offset in range(before)}
    unfinished = list(range(before))
    next_task, end = before, epoch + 1
    if before:
        progress.read(0, before)
    for offset in unfinished:
        progress.opened(offset)
    for step in steps:
        if step == "submit":
            progress.read(next_task, next_task + 1)
            progress.opened(next_task)
            unfinished.append(next_task)
            results[next_task] = []
            next_task += 1
        elif step in ("begin", "end") and unfinished:
            task = data.draw(st.sampled_from(unfinished))
            results[task].append(end)
            end += 1
            if step == "end":
                unfinished.remove(task)
                progress.finished(task)
        elif step == "other":
            end += 1
        progress.results_end = end
        commit = progress.commit()
        mark = msgspec.json.decode(commit.metadata, type=Mark)
        assert commit.offset == min(unfinished, default=next_task)
        assert all(mark.results <= at for task in results if task >= commit.offset for at in results[task])
        assert mark.epoch == (epoch if mark.results > epoch else 1)
        assert len(commit.metadata) < 4096
