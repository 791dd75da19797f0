"""Rows 3, 4 and 29 through two command APIs that know nothing of each other."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import cycle
from pathlib import Path
from random import Random

import httpx2
import pytest
from tests.support import distributed
from tests.support.auditing import audited
from tests.support.commands import FRAME, group, slug_of, task_frame
from tests.support.deadlines import scaled
from tests.support.distributed import Deployment
from tests.support.seeds import seeded

from funcledger import Client
from funcledger.submission import serialise
from funcledger_compose.native.stack import Stack
from funcledger_schemas.ids import new_id
from funcledger_schemas.lifecycle import OUTCOMES

pytestmark = pytest.mark.distributed


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """One of its own, with the endpoint ``lab``; at the end its read models are the fold of its log."""
    stack = distributed.started(tmp_path_factory.mktemp("stack"), partitions=4)
    try:
        yield stack
        audited(stack)
    finally:
        stack.stop()


@pytest.fixture(scope="module")
def deployment(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    made = Deployment(stack, tmp_path_factory.mktemp("lab"))
    with made.endpoint("lab"):
        yield made


@pytest.fixture(scope="module")
def client(deployment: Deployment) -> Iterator[Client]:
    with deployment.client() as made:
        yield made


def once(line: str, path: str) -> str:
    """Leaves a line each time it runs."""
    with Path(path).open("a") as file:
        file.write(line + "\n")
    return line


def nap(seconds: float) -> float:
    import time

    time.sleep(seconds)
    return seconds


class Submission:
    """A task that can be posted to any command API, with one body or another."""

    def __init__(self, deployment: Deployment, client: Client, marks: Path) -> None:
        self._headers = {**FRAME, "Authorization": f"Bearer {deployment.token}"}
        self._marks = marks
        self._batch = new_id()
        self._function = client.register_function(once)
        self._endpoint = client.endpoints.resolve("lab")
        self._seen = client.transport.seen
        self.task_id = new_id()

    def post(self, address: str, line: str) -> httpx2.Response:
        payload_format, payload = serialise((line, str(self._marks)), {})
        asked = group(self._endpoint, self._function, [payload], payload_format=payload_format)
        frame = task_frame([asked | {"task_ids": [self.task_id]}], [payload], batch_id=self._batch)
        url = f"http://{address}/v1/tasks"
        answer = httpx2.post(url, content=frame, headers=self._headers, trust_env=False, timeout=scaled(30))
        if answer.status_code == httpx2.codes.ACCEPTED:
            self._seen.merge(answer.json()["position"])
        return answer


def story(client: Client, task: str) -> list[tuple[str, bool]]:
    return [(entry["type"], entry["void"]) for entry in client.get_task_history(task)]


def test_row03_fifty_posts_at_once_through_two_apis_are_one_task_that_runs_once(
    deployment: Deployment, client: Client, tmp_path: Path
) -> None:
    asked = Submission(deployment, client, tmp_path / "marks")
    addresses = cycle(deployment.stack.addresses("command-api"))
    with ThreadPoolExecutor(50) as threads:
        posts = [threads.submit(asked.post, next(addresses), "ran") for _ in range(50)]
        answers = [post.result() for post in posts]
    assert {(answer.status_code, answer.json()["accepted"]) for answer in answers} == {(202, 1)}
    assert client.get_result(asked.task_id, timeout=scaled(30)) == "ran"
    submitted = [void for kind, void in story(client, asked.task_id) if kind == "TaskSubmitted"]
    assert submitted == [False, True], "each API took it once, and the second is void"
    assert (tmp_path / "marks").read_text() == "ran\n"


def test_row04_another_body_through_the_other_api_is_void_and_told_through_the_same_one_refused(
    deployment: Deployment, client: Client, tmp_path: Path
) -> None:
    """At once, so that neither can know of the other; whichever is first on the log is the one that runs."""
    addresses = deployment.stack.addresses("command-api")
    for number in range(5):
        asked, marks = Submission(deployment, client, tmp_path / f"{number}"), tmp_path / f"{number}"
        with ThreadPoolExecutor(20) as threads:
            posts = [
                threads.submit(asked.post, address, line)
                for _ in range(10)
                for address, line in zip(addresses, ("here", "there"), strict=True)
            ]
            assert {post.result().status_code for post in posts} == {202}
        ran = client.get_result(asked.task_id, timeout=scaled(30))
        assert ran in ("here", "there")
        for address, line in zip(addresses, ("there", "here"), strict=True):
            refused = asked.post(address, line)
            assert (refused.status_code, slug_of(refused)) == (422, "conflict")
        assert client.get_task(asked.task_id)["conflict"]
        told = client.get_task_history(asked.task_id)
        submitted = [entry for entry in told if entry["type"] == "TaskSubmitted"]
        assert [entry["void"] for entry in submitted] == [False, True], "and nothing of what was refused"
        assert marks.read_text() == f"{ran}\n"


def test_row29_cancels_through_two_apis_race_with_completion_and_each_task_ends_once(
    deployment: Deployment, client: Client
) -> None:
    random = seeded()
    longest, seen = 0.06, set[str]()
    for _ in range(6):  # how long a task has to take, for cancels to be in time for some, is the machine's
        ended = _raced(deployment, client, random, longest)
        seen |= ended
        if seen == {"success", "cancelled"}:
            return
        longest *= 3 if ended == {"success"} else 1 / 3
    raise AssertionError(f"each of them ended as {seen}")


def _raced(deployment: Deployment, client: Client, random: Random, longest: float) -> set[str]:
    """Cancel some of many tasks, through both APIs at once; how they ended, each of them once."""
    function = client.register_function(nap)
    batch = client.create_batch()
    for _ in range(60):
        batch.add(random.uniform(0, longest), endpoint_id="lab", function_id=function)
    tasks = client.batch_run(batch)
    first = client.get_task(tasks[0])
    where = {"endpoint_id": first["endpoint_id"], "batch_id": first["batch_id"]}

    def cancel(address: str, ordered: list[str], failed: list[BaseException]) -> None:
        try:
            with Client(f"http://{address}", deployment.token) as there:
                for task in ordered:
                    there.transport.request("POST", f"/v1/tasks/{task}/cancel", json=where)
        except BaseException as error:
            failed.append(error)

    failed: list[BaseException] = []
    asking = [
        threading.Thread(target=cancel, args=(address, random.sample(tasks, 40), failed))
        for address in deployment.stack.addresses("command-api")
    ]
    for thread in asking:
        thread.start()
    for thread in asking:
        thread.join(scaled(60))
    assert failed == []
    assert client.wait(tasks, scaled(60))[1] == set()
    ended = {task: client.get_task(task)["status"] for task in tasks}
    for task, status in ended.items():
        outcomes = [each for each in story(client, task) if each[0] in OUTCOMES]
        counting = [kind for kind, void in outcomes if not void]
        assert counting == ["TaskCompleted" if status == "success" else "TaskCancelled"], outcomes
    return set(ended.values())
