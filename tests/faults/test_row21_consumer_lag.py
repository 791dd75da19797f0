"""Row 21: a projector that was away catches up in bounded memory; meanwhile answers say as of when."""

import asyncio
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry
from tests.support.commands import with_topics
from tests.support.deadlines import scaled
from tests.support.folding import caught_up
from tests.support.poll import until
from tests.support.queries import Task, query_side, registered, started

from funcledger_compose.lag import LagMetric
from funcledger_event_log.records import NewRecord, Token
from funcledger_event_log.sqlite import SqliteLog
from funcledger_projectors.runner import Projector
from funcledger_read_models.documents import TASK_STATUS, TaskStatus
from funcledger_read_models.sqlite import SqliteStore
from funcledger_schemas.envelope import BY_ENDPOINT

#: What the projector may hold beside what it has at the start: its inbox, a batch, and its caches (MiB).
BOUND = 450.0


def placed(event: Any) -> NewRecord:
    record = NewRecord.of(event, 1)
    partition = record.partition if record.topic in BY_ENDPOINT else 0
    return NewRecord(record.topic, partition, record.key, record.headers, record.value)


async def history(directory: Path, tasks: int, payload: bytes) -> None:
    """A log of so many tasks, three events each."""
    log = await SqliteLog.open(directory)
    await with_topics(log)
    await log.append([placed(registered()), placed(started())])
    for first in range(0, tasks, 1000):
        events = []
        for _ in range(min(1000, tasks - first)):
            task = Task()
            events += [task.submitted(payload=payload), task.begun(), task.completed(payload)]
        await log.append([placed(event) for event in events])
    await log.close()


def fold_elsewhere(log: Path, models: Path) -> dict[str, float]:
    """Fold it in a process of its own; what that tells of itself."""
    command = [sys.executable, "-m", "tests.support.projecting", str(log), str(models)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=scaled(250))
    said: dict[str, float] = json.loads(done.stdout.removeprefix("folding\n"))
    return said


@pytest.mark.parametrize(
    "events", [6_000, pytest.param(100_000, marks=[pytest.mark.slow, pytest.mark.timeout(300)])]
)
async def test_row21_a_backlog_is_folded_in_bounded_memory(tmp_path: Path, events: int) -> None:
    """In a process of its own. Of 100,000 events the payloads alone, held at once, would take 2 GiB."""
    await history(tmp_path / "log", events // 3, bytes(16_384))
    said = await asyncio.to_thread(fold_elsewhere, tmp_path / "log", tmp_path / "models.db")
    print(said)
    assert said["behind"] == events // 3 * 3 + 2
    assert said["peak"] - said["before"] < BOUND
    store = await SqliteStore.open(tmp_path / "models.db")
    task = (await store.find(TASK_STATUS, limit=1))[0]
    assert isinstance(task, TaskStatus)
    assert task.status == "success"
    assert sum((await store.positions()).values()) == said["behind"]
    await store.close()


async def test_row21_while_the_projector_is_away_answers_say_as_of_when_and_the_metric_how_far(
    tmp_path: Path,
) -> None:
    """Without a token an old answer comes, with its position; with one, none that is too old."""
    async with query_side() as side:
        before, behind = Task(), Task()
        seen_before = await side.append(before.submitted())
        await side.project()
        token = await side.append(behind.submitted(), *(behind.begun(attempt) for attempt in range(1, 50)))
        registry = CollectorRegistry()
        projector = Projector(side.log, side.store)
        await projector._applier.reload()
        metric = LagMetric(side.log, projector, registry)
        await metric.start()
        try:
            await until(lambda: registry.get_sample_value("funcledger_projector_lag_records") == 50)
            answer = await side.client.get("/v1/tasks")
            assert [task["task_id"] for task in answer.json()["tasks"]] == [before.task_id]
            as_of = Token.parse(answer.json()["position"]).ends
            assert all(as_of[where] == end for where, end in seen_before.ends.items())
            assert as_of != as_of | token.ends
            refused = await side.client.get("/v1/tasks", headers={"Funcledger-Position": str(token)})
            assert refused.status_code == 503
            assert refused.json()["type"].endswith(":behind")
            assert sum(refused.json()["lag"].values()) == 50
            await projector.start()
            await caught_up(projector)
            answer = await side.client.get("/v1/tasks", headers={"Funcledger-Position": str(token)})
            assert {task["task_id"] for task in answer.json()["tasks"]} == {before.task_id, behind.task_id}
            await until(lambda: registry.get_sample_value("funcledger_projector_lag_records") == 0)
        finally:
            await metric.stop()
            await projector.stop()
