"""Row 23 on Kafka: an agent is frozen, another takes over, and what the first says later is void."""

import asyncio
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.support import axes, distributed
from tests.support.deadlines import scaled
from tests.support.distributed import Deployment
from tests.support.poll import until_sync

from funcledger import Client
from funcledger_endpoint.agent import FENCED_EXIT_CODE
from funcledger_event_log.kafka import KafkaLog, KafkaSettings
from funcledger_event_log.records import NewRecord, Position
from funcledger_schemas.events import TaskCompleted
from funcledger_schemas.ids import new_id

pytestmark = pytest.mark.distributed


def whose_worker(folder: str) -> int:
    """Says which agent's worker runs it, and returns that once it is told to."""
    import os
    import pathlib
    import time

    with (pathlib.Path(folder) / "began").open("a") as file:
        file.write(f"{os.getppid()}\n")
    while not (pathlib.Path(folder) / "go").exists():
        time.sleep(0.01)
    with (pathlib.Path(folder) / "ended").open("a") as file:
        file.write(f"{os.getppid()}\n")
    return os.getppid()


@contextmanager
def agent(deployment: Deployment, made: dict[str, Any], n: int) -> Iterator["subprocess.Popen[bytes]"]:
    """The first or the second, each on a machine of its own, and at its own gateway if it uses one."""
    gateway = deployment.stack.addresses("gateway")[n]
    elsewhere = deployment.folder / f"{n}"
    elsewhere.mkdir()
    changed = {"FUNCLEDGER_DATA_DIR": str(elsewhere), "FUNCLEDGER_URL": f"http://{gateway}"}
    with deployment.agent("contested", made["credential"], 1, **changed) as process:
        try:
            yield process
        finally:
            if process.poll() is None:
                os.kill(process.pid, signal.SIGCONT)


@pytest.mark.parametrize("axis", [axes.GATEWAY, axes.DIRECT])
def test_row23_of_two_agents_the_frozen_one_is_void_to_every_reader_and_ends(
    tmp_path: Path, axis: str
) -> None:
    deployment = Deployment(distributed.shared(), tmp_path, direct=axis == axes.DIRECT)
    with deployment.client() as client:
        made = client.register_endpoint("contested")
        function = client.register_function(whose_worker)
        with agent(deployment, made, 0) as first:
            task = client.run(str(tmp_path), endpoint_id=made["endpoint_id"], function_id=function)
            until_sync((tmp_path / "began").exists, 30)
            until_sync(lambda: client.get_task(task)["status"] == "running", 30)
            os.kill(first.pid, signal.SIGSTOP)
            (tmp_path / "go").touch()
            until_sync((tmp_path / "ended").exists, 10)
            with agent(deployment, made, 1) as second:
                assert client.get_result(task, timeout=scaled(60)) == second.pid
                os.kill(first.pid, signal.SIGCONT)
                assert first.wait(scaled(60)) == FENCED_EXIT_CODE == 75
                say_late(deployment, client, task)
                until_sync(lambda: len(completions(client, task)) >= 2, 30)
                assert completions(client, task)[:2] == [False, True]
                assert client.get_result(task) == second.pid
                assert second.poll() is None
                assert client.get_endpoint_status("contested")["status"] == "online"
        said = [
            (e["type"], e["event"].get("attempt")) for e in client.get_task_history(task) if not e["void"]
        ]
        assert said.count(("TaskCompleted", 2)) == 1
        assert [each for each in said if each[0] == "TaskStarted"] == [("TaskStarted", 1), ("TaskStarted", 2)]
        client.delete_endpoint("contested")
    assert (tmp_path / "ended").read_text().split() == [str(first.pid), str(second.pid)]


def completions(client: Client, task: str) -> list[bool]:
    """Whether each of them is void, in the order of the log."""
    told = client.get_task_history(task)
    return [each["void"] for each in told if each["type"] == "TaskCompleted"]


def say_late(deployment: Deployment, client: Client, task: str) -> None:
    """The zombie's outcome reaches the log after all: on a trusted endpoint's way nothing stands."""
    told = client.get_task_history(task)
    zombie = next(each for each in told if each["type"] == "TaskStarted")["event"]["epoch"]
    at = next(each for each in told if each["type"] == "TaskCompleted")

    async def append() -> None:
        log = KafkaLog(KafkaSettings(deployment.stack.addresses("kafka")[0]))
        try:
            (record,) = await log.read([Position("results", at["partition"], at["offset"])])
            assert record is not None
            event = record.event()
            assert isinstance(event, TaskCompleted)
            assert event.epoch != zombie
            late = msgspec.structs.replace(
                event,
                event_id=new_id(),
                epoch=zombie,
                attempt=1,
                occurred_at=time.time_ns() // 1000,
                payload=b"",
                payload_size=0,
            )
            await log.append([NewRecord.of(late, at["partition"])])
        finally:
            await log.close()

    asyncio.run(append())
