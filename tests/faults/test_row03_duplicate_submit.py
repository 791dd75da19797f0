"""FAULTS 3: a submission sent again, at once or later, is the same submission."""

import asyncio
import signal
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from tests.support.commands import (
    Side,
    command_side,
    group,
    post_tasks,
    submitted,
    task_frame,
)
from tests.support.deadlines import scaled
from tests.support.standalone import standalone

from funcledger.submission import NewTask, serialise, submit
from funcledger_schemas.ids import new_id


@pytest.fixture
async def side() -> AsyncIterator[Side]:
    async with command_side() as running:
        yield running


async def test_row03_fifty_concurrent_identical_posts_are_one_submission(side: Side) -> None:
    endpoint, function = await side.endpoint(), await side.register()
    body = task_frame([group(endpoint, function, [b"x"] * 3)], [b"x"] * 3)
    answers = await asyncio.gather(*(post_tasks(side, body) for _ in range(50)))
    assert {(answer.status_code, answer.content) for answer in answers} == {(202, answers[0].content)}
    assert len(await side.records("tasks")) == 3


async def test_row03_a_retry_with_more_tasks_submits_only_the_new_ones(side: Side) -> None:
    endpoint, function = await side.endpoint(), await side.register()
    whole = group(endpoint, function, [b"a", b"b", b"c"])
    first = {**whole, **{name: whole[name][:2] for name in ("task_ids", "batch_indexes", "sizes")}}
    batch_id = new_id()
    await post_tasks(side, task_frame([first], [b"a", b"b"], batch_id=batch_id))
    response = await post_tasks(side, task_frame([whole], [b"a", b"b", b"c"], batch_id=batch_id))
    assert (response.status_code, response.json()["accepted"]) == (202, 3)
    assert [event.payload for event in await submitted(side)] == [b"a", b"b", b"c"]


def once(line: str, path: str) -> str:
    """Leaves a line each time it runs."""
    with Path(path).open("a") as file:
        file.write(line + "\n")
    return line


def test_row03_fifty_posts_at_once_and_the_api_killed_between_append_and_answer_are_one_task(
    tmp_path: Path,
) -> None:
    """Nobody was answered, so all fifty send the same again to the next server, which remembers nothing."""
    marks = tmp_path / "marks"
    doomed: dict[str, Any] = {"program": "tests.support.crashing", "more": {"TEST_CRASH_AT": "tasks:1"}}
    with (
        standalone(tmp_path / "data", "--workers", "1", **doomed) as server,
        server.client() as client,
        ThreadPoolExecutor(50) as threads,
    ):
        function, endpoint = client.register_function(once), client.endpoints.resolve("local")
        payload_format, payload = serialise(("ran", str(marks)), {})
        task = NewTask(new_id(), endpoint, function, payload_format, payload)
        batch_id = new_id()
        posts = [threads.submit(submit, client.transport, batch_id, [task]) for _ in range(50)]
        assert server.died() == -signal.SIGKILL
        assert not any(post.done() for post in posts)
        server.program, server.more = "funcledger_compose", {}
        server.start()
        for post in posts:
            post.result(scaled(60))
        assert client.get_result(task.task_id, timeout=scaled(30)) == "ran"
        history = client.get_task_history(task.task_id)
        listed = [each["task_id"] for each in client.get_tasks(task_group_id=batch_id)]
    submissions = [entry for entry in history if entry["type"] == "TaskSubmitted"]
    assert [entry["void"] for entry in submissions] == [False] + [True] * (len(submissions) - 1)
    assert len(submissions) >= 2, "the one whose answer was lost, and one to the next server"
    assert listed == [task.task_id]
    assert marks.read_text() == "ran\n"
