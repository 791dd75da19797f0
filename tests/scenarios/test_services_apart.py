"""The services as processes of their own, two of each: what each says of itself; any of them will do."""

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx2
import pytest
from confluent_kafka import Consumer
from confluent_kafka import TopicPartition as KafkaPartition
from confluent_kafka.admin import AdminClient
from tests.support import distributed
from tests.support.axes import GATEWAY
from tests.support.deadlines import scaled
from tests.support.distributed import Deployment
from tests.support.endpoints import TestEndpoint
from tests.support.poll import until_sync

from funcledger import Client
from funcledger_compose.native.process import free_port
from funcledger_compose.native.stack import Stack
from funcledger_event_log.endpoint_port import Fenced
from funcledger_event_log.http import HttpEndpointLog

pytestmark = pytest.mark.parametrize(
    "axis", [pytest.param(GATEWAY, marks=pytest.mark.distributed)], indirect=True
)

ROLES = ("command-api", "query-api", "gateway", "projectors")


@pytest.fixture(scope="module")
def deployment(running: Deployment) -> Deployment:
    return running


@pytest.fixture(scope="module")
def stack(deployment: Deployment) -> Stack:
    return deployment.stack


@pytest.fixture(scope="module")
def client(deployment: Deployment) -> Iterator[Client]:
    with deployment.client() as made:
        yield made


def slowly(seconds: float) -> float:
    time.sleep(seconds)
    return seconds


def asked(deployment: Deployment, address: str, path: str) -> httpx2.Response:
    headers = {"Authorization": f"Bearer {deployment.token}"}
    return httpx2.get(f"http://{address}{path}", headers=headers, trust_env=False, timeout=scaled(10))


@pytest.mark.parametrize("role", ROLES)
def test_each_process_tells_its_health_and_its_figures(deployment: Deployment, role: str) -> None:
    measured = {
        "command-api": "funcledger_append_seconds_count",
        "projectors": "funcledger_projector_lag_records",
    }
    addresses = deployment.stack.addresses(role)
    assert len(addresses) == 2
    for address in addresses:
        assert httpx2.get(f"http://{address}/healthz", trust_env=False).json() == {"status": "ok"}
        assert httpx2.get(f"http://{address}/readyz", trust_env=False).json() == {"status": "ready"}
        assert httpx2.get(f"http://{address}/metrics", trust_env=False).status_code == 401
        text = asked(deployment, address, "/metrics").text
        assert measured.get(role, "funcledger_append_records_count") in text
    if role == "projectors":
        assert "funcledger_dead_letters 0.0" in text
        assert "funcledger_save_documents_count" in text


@pytest.mark.parametrize(("role", "path"), [("command-api", "/v1/tasks"), ("projectors", "/v1/tasks")])
def test_a_service_answers_nothing_that_is_anothers(deployment: Deployment, role: str, path: str) -> None:
    assert asked(deployment, deployment.stack.addresses(role)[0], path).status_code in (404, 405)


@pytest.mark.parametrize("number", [0, 1])
def test_an_outcome_wakes_who_waits_at_either_query_api(
    deployment: Deployment, client: Client, number: int
) -> None:
    """Long before it would look into read models again."""
    address = deployment.stack.addresses("query-api")[number]
    headers = {"Authorization": f"Bearer {deployment.token}"}
    function = client.register_function(slowly)
    began = time.monotonic()
    body = {"task_ids": [client.run(1.0, endpoint_id="lab", function_id=function)], "wait": 30}
    answer = httpx2.post(
        f"http://{address}/v1/results", json=body, headers=headers, trust_env=False, timeout=scaled(40)
    )
    assert answer.status_code == 200
    assert b'"success"' in answer.content
    assert 1.0 < time.monotonic() - began < scaled(10)


async def test_law_7_of_two_agents_through_two_gateways_the_newer_one_is_believed(
    deployment: Deployment, client: Client
) -> None:
    made = await asyncio.to_thread(client.register_endpoint, "contested")
    said = TestEndpoint(endpoint_id=made["endpoint_id"])
    one, other = (
        HttpEndpointLog(f"http://{address}", made["credential"])
        for address in deployment.stack.addresses("gateway")
    )
    (first,) = await one.append([said.started()])
    (second,) = await other.append([said.started(supersedes=first)])
    with pytest.raises(Fenced):
        await one.append([said.heartbeat(first)])
    # Neither does the other gateway take what the older agent says.
    with pytest.raises(Fenced):
        await other.append([said.started(supersedes=first)])
    await one.append([said.heartbeat(second)])
    await one.close()
    await other.close()


def test_projectors_divide_the_partitions(stack: Stack) -> None:
    admin = AdminClient({"bootstrap.servers": stack.addresses("kafka")[0]})

    def shares() -> list[set[int]]:
        group = admin.describe_consumer_groups(["funcledger.projectors"])["funcledger.projectors"].result()
        return [{part.partition for part in each.assignment.topic_partitions} for each in group.members]

    def divided() -> bool:
        found = shares()
        return len(found) == 2 and all(found) and sorted(n for share in found for n in share) == [*range(8)]

    until_sync(divided, 30)


def test_an_ordinary_consumer_reads_the_topics(stack: Stack, client: Client) -> None:
    task = client.run(0.0, endpoint_id="lab", function_id=client.register_function(slowly))
    assert client.get_result(task, timeout=scaled(20)) == 0.0
    partition = client.get_task_history(task)[0]["partition"]
    consumer = Consumer({"bootstrap.servers": stack.addresses("kafka")[0], "group.id": "somebody else's"})
    consumer.assign([KafkaPartition(f"funcledger.{topic}", partition, 0) for topic in ("tasks", "results")])
    found: dict[str, list[str]] = {}

    def all_of_it() -> bool:
        message = consumer.poll(1.0)
        if message is not None and message.error() is None:
            headers = dict(message.headers() or [])
            name, value = headers["ce_type"], message.value()
            assert isinstance(name, bytes)
            assert value is not None
            assert value[0] == 0  # Confluent's wire format
            found.setdefault(_text(headers.get("ce_subject")), []).append(name.decode())
        return len(found.get(task, ())) == 3

    until_sync(all_of_it, 30)
    consumer.close()
    kinds = ["TaskSubmitted", "TaskStarted", "TaskCompleted"]
    assert sorted(found[task]) == sorted(f"funcledger.events.{kind}" for kind in kinds)


def _text(value: str | bytes | None) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def test_topics_are_described_and_made_once(stack: Stack) -> None:
    told = distributed.run_topics(stack, "describe", "--json")
    assert told.returncode == 0, told.stdout + told.stderr
    described = json.loads(told.stdout)
    assert {topic["name"]: topic["partitions"] for topic in described["topics"]}["funcledger.tasks"] == 8
    assert described["findings"] == []
    again = distributed.run_topics(stack, "create", "--partitions", "4")
    assert "All topics are there" in again.stdout
    less = distributed.run_topics(stack, "grow", "4")
    assert less.returncode == 1
    assert "8 partitions already" in less.stderr


def test_services_say_what_they_cannot_be_without(stack: Stack) -> None:
    alone = distributed.run_service(stack, "query-api", FUNCLEDGER_LOG="sqlite")
    assert alone.returncode == 1
    assert "FUNCLEDGER_LOG=kafka" in alone.stderr
    elsewhere = distributed.run_service(stack, "command-api", FUNCLEDGER_KAFKA_TOPIC_PREFIX="nobodys.")
    assert elsewhere.returncode == 1
    assert "funcledger topics create" in elsewhere.stderr
    wrong = distributed.run_service(stack, "command-api", FUNCLEDGER_TOKENS="ada=secret")
    assert wrong.returncode == 1
    assert "funcledger token create" in wrong.stderr
    assert "secret" not in wrong.stderr
    for done in (alone, elsewhere, wrong):
        assert "Traceback" not in done.stderr


@pytest.mark.parametrize("role", ROLES)
def test_row30_one_after_the_other_is_replaced_under_load_and_nobody_notices(
    deployment: Deployment, client: Client, role: str
) -> None:
    """SIGTERM drains: every process of a service is stopped in order and started again, amid calls."""
    function = client.register_function(slowly)
    with ThreadPoolExecutor(1) as thread:
        load = thread.submit(lambda: [_there_and_back(client, function) for _ in range(60)])
        for process in deployment.stack.processes[role]:
            process.stop()
            assert process.exit_code == 0
            process.start()
            deployment.stack.ready(process)
        assert load.result(scaled(120)) == [0.0] * 60


@pytest.mark.slow  # on a busy machine the database's stand-in needs longer for the tour's burst than it asks
def test_the_tour_of_the_readme_runs_on_services_apart(deployment: Deployment) -> None:
    tour = [sys.executable, str(Path(__file__).parents[2] / "examples" / "tour.py"), "lab"]
    told = os.environ | deployment.environment
    done = subprocess.run(tour, env=told, capture_output=True, text=True, timeout=scaled(100), check=False)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    assert not done.stderr


def test_whoever_meets_a_service_that_still_waits_for_its_database_is_answered_by_the_other_one(
    deployment: Deployment, client: Client
) -> None:
    (process, _), absent = deployment.stack.processes["query-api"], f"mongodb://127.0.0.1:{free_port()}/"
    process.stop()
    known, said = process.environment or {}, process.log.stat().st_size
    process.environment = {**known, "FUNCLEDGER_MONGO_URI": absent}
    process.spawn()
    try:
        until_sync(lambda: b"waiting to start" in process.log.read_bytes()[said:], 20)
        began = time.monotonic()
        for _ in range(20):
            client.get_tasks(limit=1)
        assert time.monotonic() - began < scaled(10)
    finally:
        process.stop()
        process.environment = known
        process.start()
        deployment.stack.ready(process)


def _there_and_back(client: Client, function: str) -> float:
    value: float = client.get_result(
        client.run(0.0, endpoint_id="lab", function_id=function), timeout=scaled(60)
    )
    return value
