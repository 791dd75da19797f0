"""Rows 12, 18, 21 and 30 on services apart: poison by outsiders, wrong clocks, projectors away, SIGTERM."""

import asyncio
import re
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx2
import psutil
import pytest
from confluent_kafka import Producer
from tests.support import distributed
from tests.support.auditing import audited
from tests.support.clocks import clock_ahead
from tests.support.commands import FRAME, group, task_frame
from tests.support.deadlines import scaled
from tests.support.distributed import Deployment
from tests.support.poison import REASONS, poison
from tests.support.poll import until_sync
from tests.support.queries import Task

from funcledger import Client, Executor
from funcledger.submission import serialise
from funcledger_compose.native.process import NativeProcess
from funcledger_compose.native.stack import Stack
from funcledger_event_log.kafka import KafkaLog, KafkaSettings
from funcledger_event_log.records import NewRecord, Position
from funcledger_schemas.ids import new_id

pytestmark = pytest.mark.distributed

HOUR = 3600
ROLES = ("command-api", "query-api", "gateway", "projectors")
#: What a projector may hold beside what it has when it has just started, in MiB: three batches, and what it
#: remembers of up to 80,000 documents of each model. Measured: 150 after 30,000 events, 197 after 100,000.
BOUND = 300.0


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """One of its own; every test leaves it whole, and its read models the fold of its log."""
    stack = distributed.started(tmp_path_factory.mktemp("stack"), partitions=4)
    try:
        yield stack
        audited(stack)
    finally:
        stack.stop()


@pytest.fixture
def deployment(stack: Stack, tmp_path: Path) -> Deployment:
    return Deployment(stack, tmp_path)


@pytest.fixture
def client(deployment: Deployment) -> Iterator[Client]:
    with deployment.client() as made:
        yield made


def nap(seconds: float) -> float:
    time.sleep(seconds)
    return seconds


def nap_and_tell(seconds: float) -> float:
    time.sleep(seconds)
    return time.time()


def get(deployment: Deployment, address: str, path: str) -> httpx2.Response:
    headers = {"Authorization": f"Bearer {deployment.token}"}
    return httpx2.get(f"http://{address}{path}", headers=headers, trust_env=False, timeout=scaled(30))


def metric(deployment: Deployment, process: NativeProcess, name: str) -> float:
    text = get(deployment, process.address, "/metrics").text
    (value,) = re.findall(rf"(?m)^{name} (\S+)$", text)
    return float(value)


def restarted(stack: Stack, process: NativeProcess, environment: dict[str, str] | None = None) -> None:
    """Killed, and started again with what is changed in its environment."""
    process.kill()
    process.environment = {**(process.environment or {}), **(environment or {})}
    process.start()
    stack.ready(process)


def kafka_log(stack: Stack) -> KafkaLog:
    return KafkaLog(KafkaSettings(stack.addresses("kafka")[0]))


# Row 12


def test_row12_poison_that_an_outsider_writes_to_kafka_is_kept_counted_and_holds_nothing_up(
    deployment: Deployment, client: Client
) -> None:
    """With the key and on the partition of an endpoint at work; services that start on it go on, too."""
    stack = deployment.stack
    with deployment.endpoint("lab") as lab, Executor("lab", client) as executor:
        assert executor.submit(nap, 0.0).result(scaled(30)) == 0.0
        (mine,) = [each for each in client.get_endpoints() if each["endpoint_id"] == lab]
        producer = Producer({"bootstrap.servers": stack.addresses("kafka")[0]})
        for record in poison().values():
            producer.produce(
                f"funcledger.{record.topic}",
                record.value,
                lab.encode(),
                mine["partition"],
                headers=list(record.headers),
            )
        assert producer.flush(20) == 0

        def told() -> set[tuple[float, float]]:
            return {
                (metric(deployment, each, "funcledger_dead_letters"),
                 metric(deployment, each, "funcledger_projector_lag_records"))
                for each in stack.processes["projectors"]
            }  # fmt: skip

        assert list(executor.map(nap, [0.0] * 20, timeout=scaled(60))) == [0.0] * 20
        until_sync(lambda: told() == {(len(REASONS), 0.0)}, 30)
        for role in ("projectors", "gateway", "query-api"):
            for process in stack.processes[role]:
                restarted(stack, process)
        assert list(executor.map(nap, [0.0] * 20, timeout=scaled(60))) == [0.0] * 20
        until_sync(lambda: told() == {(len(REASONS), 0.0)}, 30)
    letters = asyncio.run(dead_letters(stack))
    assert len(letters) == len(REASONS)
    assert all(any(reason in letter.reason for letter in letters) for reason in REASONS.values())
    assert {letter.partition for letter in letters} == {mine["partition"]}


async def dead_letters(stack: Stack) -> list[Any]:
    log = kafka_log(stack)
    try:
        end = (await log.ends("dead_letters"))[0]
        found = await log.read([Position("dead_letters", 0, offset) for offset in range(end)])
        return [record.event() for record in found if record is not None]
    finally:
        await log.close()


# Row 18


def test_row18_services_and_an_agent_whose_clocks_are_an_hour_off_expire_reorder_and_doubt_nothing(
    deployment: Deployment, client: Client
) -> None:
    """One of each pair is an hour ahead, the other an hour behind; the agent is ahead."""
    stack = deployment.stack
    pairs = [stack.processes[role] for role in ("command-api", "projectors")]
    for ahead, behind in pairs:
        restarted(stack, ahead, clock_ahead(HOUR))
        restarted(stack, behind, clock_ahead(-HOUR))
    try:
        made = client.register_endpoint("ahead")
        with deployment.agent("ahead", made["credential"], 1, **clock_ahead(HOUR)):
            function, tasks = client.register_function(nap_and_tell), []
            for _ in range(6):  # through either API
                batch = client.create_batch(expires_in=600)
                batch.add(0.2, endpoint_id="ahead", function_id=function)
                tasks += client.batch_run(batch)
            told = [client.get_result(task, timeout=scaled(60)) for task in tasks]
            assert all(at - time.time() == pytest.approx(HOUR, abs=60) for at in told), "it really was"
            assert client.get_endpoint_status("ahead")["status"] == "online"
        flagged = set()
        for task in tasks:
            story = client.get_task_history(task)
            assert [entry["type"] for entry in story] == ["TaskSubmitted", "TaskStarted", "TaskCompleted"]
            assert [entry["timestamp"] for entry in story] == sorted(entry["timestamp"] for entry in story)
            assert story[2]["event"]["run_time"] == pytest.approx(0.2, abs=0.15)
            assert all(entry["clock_ahead"] == pytest.approx(HOUR, abs=60) for entry in story[1:])
            flagged.add(story[0]["clock_ahead"] is not None)
        assert flagged == {True, False}, "of the API that is ahead, not of the one behind"
    finally:
        for process in (each for pair in pairs for each in pair):
            restarted(stack, process, clock_ahead(0))


# Row 21


async def backlog(stack: Stack, endpoint: dict[str, Any], owner: str, tasks: int) -> None:
    """So many tasks of this endpoint that the keeper has cancelled, written as fast as the log takes them."""
    log = kafka_log(stack)
    try:
        for first in range(0, tasks, 500):
            events: list[Any] = []
            for _ in range(min(500, tasks - first)):
                task = Task(owner=owner, endpoint_id=endpoint["endpoint_id"])
                events += [task.submitted(payload=bytes(2048), payload_size=2048, expires_in=HOUR)]
                events += [task.cancelled()]
            await log.append([NewRecord.of(event, endpoint["partition"]) for event in events])
    finally:
        await log.close()


@pytest.mark.parametrize(
    "events", [9_000, pytest.param(100_000, marks=[pytest.mark.slow, pytest.mark.timeout(900)])]
)
def test_row21_with_projectors_away_answers_say_as_of_when_and_catching_up_is_bounded_in_memory(
    deployment: Deployment, client: Client, events: int
) -> None:
    stack, projectors = deployment.stack, deployment.stack.processes["projectors"]
    client.register_endpoint("behind")
    (endpoint,) = [each for each in client.get_endpoints() if each["name"] == "behind"]
    query = stack.addresses("query-api")[0]
    until_sync(lambda: "stale" not in get(deployment, query, "/v1/tasks").json(), 30)
    for process in projectors:
        process.kill()
    killed = time.time() * 1000
    asyncio.run(backlog(stack, endpoint, endpoint["owner"], events // 2))
    until_sync(lambda: get(deployment, query, "/v1/tasks").json().get("stale"), 20)
    answer = get(deployment, query, "/v1/tasks").json()
    assert answer["tasks"] == []
    assert killed - 10_000 < answer["as_of"] < killed + 1_000
    for process in projectors:
        process.spawn()
    lags: list[float] = []
    until_sync(lambda: all(lag(deployment, process, lags) is not None for process in projectors), 60)
    before = {process.pid: resident(process) for process in projectors}
    most = dict(before)

    def caught_up() -> bool:
        for process in projectors:
            most[process.pid] = max(most[process.pid], resident(process))
        told = [lag(deployment, process, lags) for process in projectors]
        return told == [0] * len(told) and "stale" not in get(deployment, query, "/v1/tasks").json()

    until_sync(caught_up, 60 + events / 50)
    print(f"{events:,} events, lag at most {max(lags):,.0f}, resident {before} then at most {most} MiB")
    assert max(lags) > events / 10, "the metric told of it"
    assert all(most[pid] - before[pid] < BOUND for pid in before)
    listed = get(deployment, query, "/v1/tasks?limit=10").json()["tasks"]
    assert {task["status"] for task in listed} == {"cancelled"}


def lag(deployment: Deployment, process: NativeProcess, told: list[float]) -> float | None:
    """What a projector tells, ``told`` of from its first word on; None while it has not begun."""
    try:
        told.append(metric(deployment, process, "funcledger_projector_lag_records"))
    except (httpx2.HTTPError, ValueError):
        return None
    return told[-1]


def resident(process: NativeProcess) -> float:
    return float(psutil.Process(process.pid).memory_info().rss) / 2**20


# Row 30


@pytest.mark.parametrize("role", ROLES)
def test_row30_a_service_told_to_stop_drains_while_the_other_one_goes_on(
    deployment: Deployment, client: Client, role: str
) -> None:
    """As in a rolling upgrade: calls go on meanwhile, and each ends with 0 within its time."""
    stack = deployment.stack
    with deployment.endpoint("lab"), Executor("lab", client) as executor:
        futures = []
        for process in stack.processes[role]:
            futures += [executor.submit(nap, 0.01) for _ in range(30)]
            until_sync(futures[-30].done, 30)
            began = time.monotonic()
            process.signal(signal.SIGTERM)
            futures += [executor.submit(nap, 0.01) for _ in range(30)]
            until_sync(lambda process=process: not process.running, 20)  # type: ignore[misc]
            assert process.exit_code == 0
            assert time.monotonic() - began < scaled(12)
            process.start()
            stack.ready(process)
        assert [future.result(scaled(60)) for future in futures] == [0.01] * 120


def test_row30_submissions_under_way_are_acknowledged_by_an_api_that_was_told_to_stop(
    deployment: Deployment, client: Client
) -> None:
    """They wait for the broker, which is frozen, when SIGTERM comes; who comes later is not let in."""
    stack = deployment.stack
    api, (broker,) = stack.processes["command-api"][0], stack.processes["kafka"]
    with deployment.endpoint("lab") as lab:
        function = client.register_function(nap)
        payload_format, payload = serialise((0.0,), {})

        def post() -> httpx2.Response:
            asked = group(lab, function, [payload], payload_format=payload_format)
            headers = {**FRAME, "Authorization": f"Bearer {deployment.token}"}
            body, url = task_frame([asked], [payload], batch_id=batch), f"http://{api.address}/v1/tasks"
            return httpx2.post(url, content=body, headers=headers, trust_env=False, timeout=scaled(30))

        batch = new_id()
        assert post().status_code == 202
        with ThreadPoolExecutor(20) as threads:
            broker.signal(signal.SIGSTOP)
            try:
                posts = [threads.submit(post) for _ in range(20)]
                until_sync(lambda: open_connections(api) >= 20, 10)
                api.signal(signal.SIGTERM)
                until_sync(lambda: not listens(api), 10)
            finally:
                broker.signal(signal.SIGCONT)
            answers = [each.result() for each in posts]
        until_sync(lambda: not api.running, 20)
        assert api.exit_code == 0
        api.start()
        stack.ready(api)
        assert {answer.status_code for answer in answers} == {202}
        for answer in answers:
            client.transport.seen.merge(answer.json()["position"])
        tasks = [task["task_id"] for task in client.get_tasks(task_group_id=batch)]
        assert len(tasks) == 21
        assert client.wait(tasks, scaled(60))[1] == set()


def open_connections(process: NativeProcess) -> int:
    found = psutil.Process(process.pid).net_connections("tcp")
    return sum(each.laddr.port == process.port and each.status == "ESTABLISHED" for each in found)


def listens(process: NativeProcess) -> bool:
    found = psutil.Process(process.pid).net_connections("tcp")
    return any(each.laddr.port == process.port and each.status == "LISTEN" for each in found)
