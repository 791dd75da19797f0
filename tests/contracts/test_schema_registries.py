"""Every topic decoded by an ordinary Confluent consumer, with the schemas from our server or a registry.

Nothing of ours reads here: confluent-kafka's consumer takes the records, and its AvroDeserializer finds the
schema by the number in a value's first bytes.
"""

import asyncio
import functools
import os
import subprocess
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import pytest
from confluent_kafka import Consumer
from confluent_kafka.schema_registry import Schema, SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroDeserializer
from confluent_kafka.serialization import MessageField, SerializationContext
from hypothesis import HealthCheck, Phase, find, settings
from tests.support import distributed, parts
from tests.support.apps import ADA, app_of
from tests.support.deadlines import scaled
from tests.support.events import event_classes, events_of, plain_parts
from tests.support.logs import at, collect
from tests.support.server import serving
from tests.support.standalone import funcledger

from funcledger.errors import RequestError
from funcledger_compose.native.stack import COMPOSE_FILE
from funcledger_event_log.kafka import KafkaLog, KafkaSettings
from funcledger_event_log.kafka.registry import RegistryRefused, RegistryUnavailable, register
from funcledger_event_log.records import NewRecord
from funcledger_query_api.schema_registry import router
from funcledger_schemas import manifest
from funcledger_schemas.envelope import TOPICS
from funcledger_schemas.events import Event
from funcledger_schemas.ids import new_id
from funcledger_schemas.proof import entry

pytestmark = pytest.mark.distributed


@functools.cache
def one_of_each() -> list[Event]:
    """An event of every class there is."""
    known = settings(database=None, suppress_health_check=list(HealthCheck), phases=[Phase.generate])
    return [find(events_of(kind), lambda _event: True, settings=known) for kind in event_classes()]


@dataclass
class Deployed:
    """A log on Kafka, and how an ordinary client reaches the schemas of its records."""

    log: KafkaLog
    client: dict[str, Any]
    ids: dict[str, int]


@asynccontextmanager
async def ours(stack: AsyncExitStack) -> AsyncIterator[Deployed]:
    asked = KafkaSettings(parts.kafka().address, prefix=f"t{new_id()}.")
    url = await stack.enter_async_context(serving(app_of(router(asked.prefix), allowed_hosts=["*"])))
    log = KafkaLog(asked)
    stack.push_async_callback(log.close)
    conf = {"url": f"{url}/schema-registry", "basic.auth.user.info": f"any:{ADA}"}
    yield Deployed(log, conf, {entry.dataschema: entry.id for entry in manifest.entries()})


def address() -> str:
    return f"http://{parts.registry().address}/apis/ccompat/v7"


@asynccontextmanager
async def apicurio(stack: AsyncExitStack) -> AsyncIterator[Deployed]:
    prefix = f"t{new_id()}."
    # Numbers of its own, so that ours would lead nowhere.
    await _post(f"{prefix}other", '{"type": "record", "name": "Other", "fields": []}')
    ids = await register(address(), prefix)
    log = KafkaLog(KafkaSettings(parts.kafka().address, prefix=prefix, schema_ids=ids))
    stack.push_async_callback(log.close)
    yield Deployed(log, {"url": address()}, ids)


@pytest.fixture(params=[ours, apicurio], ids=["ours", "apicurio"])
async def deployed(request: pytest.FixtureRequest) -> AsyncIterator[Deployed]:
    async with AsyncExitStack() as stack:
        made = await stack.enter_async_context(request.param(stack))
        for topic in TOPICS:
            await made.log.create_topic(topic, 1)
        yield made


async def _post(subject: str, schema: str) -> None:
    def do() -> None:
        with SchemaRegistryClient({"url": address()}) as client:
            client.register_schema(subject, Schema(schema, "AVRO"))

    await asyncio.to_thread(do)


def consumed(deployed: Deployed, count: int) -> list[tuple[int, dict[str, Any]]]:
    """What an ordinary consumer of all topics gets: the number in the first bytes, and the decoded record."""
    settings = deployed.log.settings
    consumer = Consumer(
        {
            "bootstrap.servers": settings.bootstrap,
            "group.id": settings.group("analytics"),
            "auto.offset.reset": "earliest",
            "fetch.message.max.bytes": 1 << 20,
        }
    )
    found: list[tuple[int, dict[str, Any]]] = []
    try:
        with SchemaRegistryClient(deployed.client) as client:
            decode = AvroDeserializer(client)
            consumer.subscribe([settings.topic(topic) for topic in TOPICS])
            while len(found) < count:
                message = consumer.poll(30.0)
                assert message is not None, f"{len(found)} of {count} records came"
                assert message.error() is None, message.error()
                where = SerializationContext(str(message.topic()), MessageField.VALUE)
                value = message.value()
                assert value is not None
                found.append((int.from_bytes(value[1:5], "big"), decode(value, where)))
    finally:
        consumer.close()
    return found


async def test_an_ordinary_deserializer_decodes_every_topic(deployed: Deployed) -> None:
    said = one_of_each()
    await deployed.log.append([NewRecord.of(event, 0) for event in said])
    found = await asyncio.to_thread(consumed, deployed, len(said))

    wanted = sorted(((_number(deployed, e), plain_parts(e)) for e in said), key=_order)
    assert sorted(((number, _plain(fields)) for number, fields in found), key=_order) == wanted


def _order(pair: tuple[int, dict[str, Any]]) -> int:
    return pair[0]


def _number(deployed: Deployed, event: Event) -> int:
    return deployed.ids[manifest.latest(type(event).__name__).dataschema]


def _plain(fields: dict[str, Any]) -> dict[str, Any]:
    """Instants as this deserializer gives them are datetimes; ours are microseconds."""
    micros = {
        name: round(value.timestamp() * 1e6) for name, value in fields.items() if hasattr(value, "timestamp")
    }
    return fields | micros


async def test_our_own_readers_go_by_ce_dataschema_and_hashes_leave_the_number_out(
    deployed: Deployed,
) -> None:
    said = [NewRecord.of(event, 0) for event in one_of_each()]
    await deployed.log.append(said)
    for topic in TOPICS:
        wanted = [record for record in said if record.topic == topic]
        found = await collect(deployed.log, {at(topic=topic): 0}, len(wanted))
        assert [record.event() for record in found] == [record.decoded for record in wanted]
        assert [entry(r.key, r.headers, r.value) for r in found] == [
            entry(r.key, r.headers, r.value) for r in wanted
        ]


async def test_registering_again_gives_the_same_numbers() -> None:
    prefix = f"t{new_id()}."
    first, second = await asyncio.gather(register(address(), prefix), register(address() + "/", prefix))
    assert first == second == await register(address(), prefix)
    assert first.keys() == {entry.dataschema for entry in manifest.entries()}


async def test_an_incompatible_schema_is_refused_with_a_sentence() -> None:
    prefix = f"t{new_id()}."
    entry = manifest.latest("TaskSubmitted")
    other = {"type": "record", "name": entry.name, "namespace": "funcledger.events", "fields": [
        {"name": "task_id", "type": "int"}
    ]}  # fmt: skip
    await _post(entry.subject(prefix), msgspec.json.encode(other).decode())
    with pytest.raises(RegistryRefused) as caught:
        await register(address(), prefix)
    assert "refuses TaskSubmitted, version 1" in str(caught.value)
    assert entry.subject(prefix) in str(caught.value)
    assert "FUNCLEDGER_KAFKA_TOPIC_PREFIX" in str(caught.value)


async def test_who_is_no_registry_or_not_there_is_said_without_the_password() -> None:
    with pytest.raises(RegistryRefused, match="answers 404"):
        await register(f"http://ann:hunter2@{parts.registry().address}/nothing")
    with pytest.raises(RegistryUnavailable) as caught:
        await register("http://ann:hunter2@127.0.0.1:1", patience=0.1)
    assert "http://127.0.0.1:1" in str(caught.value)
    assert "hunter2" not in str(caught.value)
    with pytest.raises(RegistryRefused, match="is not the address"):
        await register("registry:8080")


async def test_a_service_does_not_start_where_a_schema_is_incompatible() -> None:
    prefix = f"t{new_id()}."
    other = {"type": "record", "name": "AccessRefused", "namespace": "funcledger.events", "fields": [
        {"name": "actor", "type": "int"}
    ]}  # fmt: skip
    await _post(manifest.latest("AccessRefused").subject(prefix), msgspec.json.encode(other).decode())
    told = {
        "FUNCLEDGER_LOG": "kafka",
        "FUNCLEDGER_READ_MODELS": "mongo",
        "FUNCLEDGER_KAFKA_BOOTSTRAP": parts.kafka().address,
        "FUNCLEDGER_KAFKA_TOPIC_PREFIX": prefix,
        "FUNCLEDGER_SCHEMA_REGISTRY_URL": address(),
    }
    done = await asyncio.to_thread(
        subprocess.run,
        funcledger("serve", "command-api", "--port", "0"),
        env=os.environ | told,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert "refuses AccessRefused, version 1" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.slow
def test_the_overlay_with_a_registry_registers_and_writes_its_numbers(tmp_path: Path) -> None:
    stack = distributed.started(
        tmp_path, files=(COMPOSE_FILE, COMPOSE_FILE.with_name("compose.registry.yaml"))
    )
    try:
        url = stack.environment("gateway")["FUNCLEDGER_SCHEMA_REGISTRY_URL"]
        with SchemaRegistryClient({"url": url}) as client:
            numbers = {name: client.get_latest_version(name).schema_id for name in client.get_subjects()}
        prefix = stack.environment("gateway").get("FUNCLEDGER_KAFKA_TOPIC_PREFIX", "funcledger.")
        assert numbers.keys() == {entry.subject(prefix) for entry in manifest.entries()}
        deployment = distributed.Deployment(stack, tmp_path)
        with deployment.endpoint("lab"), deployment.client() as client_of_ours:
            function = client_of_ours.register_function(pow)
            task = client_of_ours.run(7, 2, endpoint_id="lab", function_id=function)
            assert client_of_ours.get_result(task, timeout=scaled(60)) == 49
            with pytest.raises(RequestError, match="No route"):
                client_of_ours.transport.get("/schema-registry/subjects")
        written = asyncio.run(_numbers(stack.environment("gateway")["FUNCLEDGER_KAFKA_BOOTSTRAP"], prefix))
        assert written
        assert all(numbers[subject] == number for subject, number in written)
    finally:
        stack.stop()


async def _numbers(bootstrap: str, prefix: str) -> set[tuple[str, int]]:
    """Subject and number of every record of ``tasks`` and ``results``."""
    log = KafkaLog(KafkaSettings(bootstrap, prefix=prefix))
    found = set()
    try:
        for topic in ("functions", "endpoints", "tasks", "results"):
            for partition, end in (await log.ends(topic)).items():
                for record in await collect(log, {at(partition, topic): 0}, end) if end else []:
                    entry = manifest.latest(record.type or "")
                    found.add((entry.subject(prefix), int.from_bytes(record.value[1:5], "big")))
    finally:
        await log.close()
    return found
