"""``funcledger migrate``: histories, results and times go on in Kafka and MongoDB, also when it is killed."""

import asyncio
import os
import signal
import subprocess
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.support import parts
from tests.support.deadlines import scaled
from tests.support.folding import caught_up, projecting
from tests.support.leftovers import gone
from tests.support.logs import at, collect, new
from tests.support.poll import until, until_sync
from tests.support.seeds import seeded
from tests.support.server import serving
from tests.support.standalone import Standalone, funcledger, standalone
from tests.support.stores import dump, mongo_address
from tests.support.teller import Teller

from funcledger import Client
from funcledger_compose.endpoint_dir import EndpointDir
from funcledger_compose.services import Services
from funcledger_compose.settings import Settings
from funcledger_event_log.kafka import KafkaLog, KafkaSettings
from funcledger_event_log.records import NewRecord, Record, TopicPartition
from funcledger_event_log.sqlite import SqliteLog
from funcledger_read_models.memory import MemoryStore
from funcledger_read_models.mongo import MongoStore
from funcledger_schemas.envelope import BY_ENDPOINT, TOPICS
from funcledger_schemas.ids import new_id
from funcledger_web.auth import Principal
from funcledger_web.tokens import digest

pytestmark = pytest.mark.distributed


class Cluster:
    """Topics and a database of one test's own."""

    def __init__(self) -> None:
        name = new_id()
        self.kafka = KafkaSettings(parts.kafka().address, prefix=f"t{name}.")
        self.database = f"t{name}"

    @property
    def environment(self) -> dict[str, str]:
        return {
            "FUNCLEDGER_KAFKA_BOOTSTRAP": self.kafka.bootstrap,
            "FUNCLEDGER_KAFKA_TOPIC_PREFIX": self.kafka.prefix,
            "FUNCLEDGER_MONGO_URI": mongo_address(),
            "FUNCLEDGER_MONGO_DATABASE": self.database,
        }

    def migration(self, folder: Path) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            funcledger("migrate", "--data-dir", str(folder), "--partitions", "4"),
            env=os.environ | self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def migrate(self, folder: Path) -> tuple[int, str]:
        # What holds its output is closed too, so that a test which fails here is all that fails.
        with self.migration(folder) as process, gone(process):
            said, _ = process.communicate(timeout=scaled(250))
        return process.returncode, said

    @asynccontextmanager
    async def log(self) -> AsyncIterator[KafkaLog]:
        log = KafkaLog(self.kafka)
        try:
            yield log
        finally:
            await log.close()


@pytest.fixture
def cluster() -> Cluster:
    return Cluster()


def wait_for(flag: str) -> str:
    import os
    import time

    while not os.path.exists(flag):
        time.sleep(0.05)
    return "went on"


def fail(word: str) -> None:
    raise ValueError(word)


def told(client: Client, tasks: Sequence[str]) -> dict[str, Any]:
    """All that is told of them; where an unfinished one stands depends on whether its endpoint is online."""
    return {
        "history": {task: client.get_task_history(task) for task in tasks},
        "tasks": [task for task in client.get_tasks(limit=1000) if not task["pending"]],
        "functions": client.get_functions(role="owner"),
    }


@asynccontextmanager
async def services(cluster: Cluster, token: str) -> AsyncIterator[str]:
    """Every service over the cluster."""
    async with AsyncExitStack() as stack:
        log = await stack.enter_async_context(cluster.log())
        store = await MongoStore.open(mongo_address(), cluster.database)
        stack.push_async_callback(store.close)
        settings = Settings(data_dir=Path("nowhere"), log="kafka", read_models="mongo")
        users = {digest(token): Principal("user", "local")}
        made = await Services.over(log, store, settings, users=users)
        stack.push_async_callback(made.stop)
        yield await stack.enter_async_context(serving(made.app, made.close_streams))


@contextmanager
def agent(server: Standalone, url: str) -> Any:
    """The endpoint of the old directory, told the new address, with its old credential."""
    EndpointDir(server.folder / "endpoints", "local").change(url=url)
    with (server.folder / "agent.out").open("wb") as output:
        process = subprocess.Popen(
            funcledger("endpoint", "run", "local"), env=server.environment, stdout=output, stderr=output
        )
    with gone(process):
        yield
        process.send_signal(signal.SIGTERM)
        process.wait(scaled(30))


async def test_everything_goes_on_where_it_was(tmp_path: Path, cluster: Cluster) -> None:
    flag, folder = tmp_path / "flag", tmp_path / "data"
    async with cluster.log() as log:  # as `funcledger topics create` makes them
        for topic in TOPICS:
            await log.create_topic(topic, 32 if topic in BY_ENDPOINT else 1)
    with standalone(folder, "--workers", "1") as server, server.client() as client:
        token = client_token = (folder / "token").read_text().strip()
        functions = {f.__name__: client.register_function(f) for f in (fail, wait_for)}
        power = client.register_function(pow)
        large = client.register_function(bytes)
        ended = [client.run(7, 2, endpoint_id="local", function_id=power) for _ in range(5)]
        ended.append(client.run("oh", endpoint_id="local", function_id=functions["fail"]))
        ended.append(client.run(200_000, endpoint_id="local", function_id=large))
        _, unfinished = client.wait(ended, timeout=scaled(60))
        assert not unfinished
        begun = client.run(str(flag), endpoint_id="local", function_id=functions["wait_for"])
        until_sync(lambda: client.get_task(begun)["status"] == "running", 20)
        waiting = client.run(3, 3, endpoint_id="local", function_id=power)
        cancelled = client.run(3, 4, endpoint_id="local", function_id=power)
        client.cancel(cancelled)
        until_sync(lambda: client.get_task(cancelled)["status"] == "cancelled", 20)
        everything = [*ended, begun, waiting, cancelled]
        before = told(client, everything)

        code, said = cluster.migrate(folder)
        assert code == 1, said
        assert f"(pid {server.pid}) has the log" in said
        assert "server stopped" in said, said

        agent_pid = server.agent_pid()
        server.kill()
        assert agent_pid is not None
        os.kill(agent_pid, signal.SIGKILL)
        code, said = cluster.migrate(folder)
        assert code == 0, said
        assert f"FUNCLEDGER_TOKENS=local={digest(token)}" in said

    done = server.cli("up", "--data-dir", str(folder), "--port", "0")
    assert done.returncode == 1
    assert "was moved to topics" in done.stderr
    await _rebuilt_equals_moved(cluster)

    async with services(cluster, client_token) as url, AsyncExitStack() as stack:
        client = stack.enter_context(Client(url, token))
        assert await asyncio.to_thread(told, client, everything) == before
        assert await asyncio.to_thread(client.get_result, ended[0]) == 49
        assert await asyncio.to_thread(client.get_result, ended[-1]) == bytes(200_000)
        with pytest.raises(ValueError, match="oh"):
            await asyncio.to_thread(client.get_result, ended[-2])
        with agent(server, url):
            flag.touch()
            assert await asyncio.to_thread(client.get_result, begun, timeout=60) == "went on"
            assert await asyncio.to_thread(client.get_result, waiting, timeout=60) == 27
            history = await asyncio.to_thread(client.get_task_history, begun)
            assert [e["event"]["attempt"] for e in history if e["type"] == "TaskStarted"] == [1, 2]


async def _rebuilt_equals_moved(cluster: Cluster) -> None:
    """Law 2 over the move: folding the topics anew, times and all, gives the documents that were moved."""
    moved = await MongoStore.open(mongo_address(), cluster.database)
    rebuilt = MemoryStore()
    async with cluster.log() as log, projecting(log, rebuilt, rebuild=True) as projector:
        await caught_up(projector, 30)
        assert await dump(rebuilt) == await dump(moved)
        assert await rebuilt.positions() == await moved.positions()
    await moved.close()


async def _directory(folder: Path, tasks: int) -> None:
    """A data directory with histories of every kind, noise among them, and then many tasks."""
    random = seeded()
    teller = Teller()
    moves = [
        teller.submit, teller.submit_again, teller.ask_cancel, teller.agent_starts, teller.agent_stops,
        teller.heartbeat, teller.started, teller.attempt_failed, teller.completed, teller.failed,
        teller.cancelled, teller.kept, teller.administered, teller.copy, teller.noise,
    ]  # fmt: skip
    for _ in range(200):
        random.choice(moves)(random.randrange(20), random.randrange(20))
    log = await SqliteLog.open(folder / "log")
    for topic in TOPICS:
        await log.create_topic(topic, 2 if topic in BY_ENDPOINT else 1)
    for record in teller.records:
        said = NewRecord(record.topic, record.partition, record.key, record.headers, record.value)
        await log.append([said])
    submitted = next(r.event() for r in teller.records if r.type == "TaskSubmitted")
    for number in range(tasks // 200):
        ids = [f"00000000-0000-7000-8001-{number:06x}{n:06x}" for n in range(200)]
        events = [
            msgspec.structs.replace(submitted, event_id=i, task_id=i, payload=b"x" * 5_000) for i in ids
        ]
        await log.append([NewRecord.of(event, number % 2) for event in events])
    await log.commit("endpoint-x", TopicPartition("tasks", 1), 17, '{"results": 5}')
    await log.close()
    (folder / "format.json").write_text('{"format": 1}\n')


async def test_killed_in_the_middle_it_goes_on_where_it_stopped(tmp_path: Path, cluster: Cluster) -> None:
    folder = tmp_path / "data"
    await _directory(folder, 6_000)
    async with cluster.log() as log:
        process = cluster.migration(folder)

        async def some() -> bool:
            return sum((await log.ends("tasks")).values()) > 1_000

        try:
            await until(some, 60)
        finally:  # a test that fails here leaves no process to the next
            process.send_signal(signal.SIGKILL)
            process.communicate()
        half = sum((await log.ends("tasks")).values())
        assert half < 6_000, "it was done before it was killed"

        refused = await asyncio.to_thread(_serve, cluster)
        assert refused.returncode == 1
        assert "message.timestamp.type" in refused.stderr

        code, said = await asyncio.to_thread(cluster.migrate, folder)
        assert code == 0, said
        assert await log.committed("endpoint-x", TopicPartition("tasks", 1)) == (17, '{"results": 5}')
        source = await SqliteLog.open(folder / "log")
        for topic in TOPICS:
            ends = await source.ends(topic)
            assert {n: end for n, end in (await log.ends(topic)).items() if end} == {
                n: end for n, end in ends.items() if end
            }
            for number, end in ends.items():
                ours = await collect(source, {at(number, topic): 0}, end) if end else []
                theirs = await collect(log, {at(number, topic): 0}, end) if end else []
                assert list(map(_said, ours)) == list(map(_said, theirs))
        await source.close()
        # From now on times are the broker's again.
        before = time.time() * 1000
        await log.append([new(b"?", topic="audit")])
        (appended,) = await collect(log, {at(topic="audit"): 0}, 1)
        assert abs(appended.timestamp - before) < 60_000
    await _rebuilt_equals_moved(cluster)


def _said(record: Record) -> tuple[object, ...]:
    return (record.position, record.timestamp, record.key, record.headers, record.value)


def _serve(cluster: Cluster) -> "subprocess.CompletedProcess[str]":
    """A service, where a migration has not come to its end."""
    more = {"FUNCLEDGER_LOG": "kafka", "FUNCLEDGER_READ_MODELS": "mongo"}
    return subprocess.run(
        funcledger("serve", "command-api", "--port", "0"),
        env=os.environ | cluster.environment | more,
        capture_output=True,
        text=True,
        timeout=scaled(60),
        check=False,
    )


async def test_topics_or_a_database_with_something_else_are_refused(tmp_path: Path) -> None:
    await _directory(tmp_path / "data", 200)
    used = Cluster()
    async with used.log() as log:
        await log.create_topic("tasks", 2)
        await log.append([new(b"another's")])
    code, said = await asyncio.to_thread(used.migrate, tmp_path / "data")
    assert code == 1
    assert "tasks holds records that no migration left there" in said
    assert "FUNCLEDGER_KAFKA_TOPIC_PREFIX" in said

    taken = Cluster()
    store = await MongoStore.open(mongo_address(), taken.database)
    await store.save({}, {("tasks", 0): 1_000_000}, {})
    await store.close()
    code, said = await asyncio.to_thread(taken.migrate, tmp_path / "data")
    assert code == 1
    assert "FUNCLEDGER_MONGO_DATABASE" in said
    async with taken.log() as log:
        assert not await log.partitions("tasks"), "records were moved before it was seen"
    assert not (tmp_path / "data" / "moved.txt").exists()

    few = Cluster()
    async with few.log() as log:
        await log.create_topic("tasks", 1)
    code, said = await asyncio.to_thread(few.migrate, tmp_path / "data")
    assert code == 1
    assert "funcledger topics grow 2" in said
