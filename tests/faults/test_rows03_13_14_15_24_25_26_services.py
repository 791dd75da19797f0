"""FAULTS 3, 13, 14, 15, 24, 25 and 26 on the services apart: broker, database and services are killed."""

import re
import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import pymongo
import pytest
from tests.support import distributed
from tests.support.auditing import audited, caught_up, told
from tests.support.deadlines import scaled
from tests.support.distributed import Deployment
from tests.support.poll import until_sync

from funcledger import Client, Executor
from funcledger_compose.native.process import NativeProcess
from funcledger_compose.native.stack import Stack
from funcledger_read_models.mongo.layout import STATE, STATE_FILTER
from funcledger_read_models.mongo.locks import LOCKS

pytestmark = [pytest.mark.distributed, pytest.mark.slow, pytest.mark.timeout(240)]

PARTITIONS = 4
#: What a projector says of a write that came too late.
REFUSED = re.compile(r"this writer started at|another writer (has added|since this one read)")


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """One of its own, which every test leaves whole."""
    stack = distributed.started(tmp_path_factory.mktemp("stack"), partitions=PARTITIONS)
    yield stack
    stack.stop()


@pytest.fixture
def deployment(stack: Stack, tmp_path: Path) -> Deployment:
    return Deployment(stack, tmp_path)


def squared(x: int) -> int:
    return x * x


class Load:
    """Submits calls one after the other until it is told to stop; nothing of it may be lost or wrong."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._enough = threading.Event()
        self._thread = threading.Thread(target=self._run, name="load")
        self.tasks: list[str] = []
        self.failed: BaseException | None = None

    def _run(self) -> None:
        try:
            with Executor("lab", self._client) as executor:
                futures: list[Future[int]] = []
                # Slowly: FerretDB folds about a hundred tasks a second.
                while not self._enough.wait(0.02):
                    futures.append(executor.submit(squared, len(futures)))
                assert [future.result(scaled(120)) for future in futures] == [
                    n * n for n in range(len(futures))
                ]
                self.tasks = [str(getattr(future, "task_id", None)) for future in futures]
        except BaseException as error:
            self.failed = error

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._enough.set()

    def finish(self) -> list[str]:
        """The tasks, each of which has come back with the right value."""
        self.stop()
        self._thread.join(scaled(200))
        assert not self._thread.is_alive()
        if self.failed is not None:
            raise self.failed
        return self.tasks


@contextmanager
def under_load(deployment: Deployment, seconds_after: float = 1.0, workers: int = 2) -> Iterator[Load]:
    """Calls go on meanwhile; then each has one outcome on the log, and the read models are its fold."""
    with deployment.client() as client:
        with deployment.endpoint("lab", workers):
            load = Load(client)
            load.start()
            try:
                time.sleep(0.5)
                yield load
                time.sleep(seconds_after)
            except BaseException:
                load.stop()  # or it would go on under the tests behind this one
                raise
            tasks = load.finish()
        outcomes = audited(deployment.stack)
        assert len(tasks) > 50
        assert {outcomes[task] for task in tasks} == {1}


def ready(process: NativeProcess) -> bool:
    try:
        answer = httpx2.get(f"http://{process.address}/readyz", trust_env=False, timeout=scaled(5))
    except httpx2.HTTPError:
        return False
    return answer.status_code == 200


def restarted(stack: Stack, process: NativeProcess) -> None:
    process.start()
    stack.ready(process)


def submit(deployment: Deployment, address: str) -> httpx2.Response:
    """One submission at one command API, which is refused (its endpoint is not there) once all is well."""
    task = {"endpoint_id": "0" * 8 + "-0000-7000-8000-" + "0" * 12, "payload_format": "pickle", "payload": ""}
    body = {"tasks": [task | {"function_id": task["endpoint_id"]}]}
    return httpx2.post(
        f"http://{address}/v1/tasks",
        json=body,
        headers={"Authorization": f"Bearer {deployment.token}"},
        trust_env=False,
        timeout=scaled(60),
    )


@pytest.mark.parametrize("role", ["command-api", "query-api", "gateway", "projectors"])
def test_rows_03_05_24_25_a_service_killed_in_the_middle_loses_and_doubles_nothing(
    deployment: Deployment, role: str
) -> None:
    """Both of them in turn, by SIGKILL, amid calls; the other one does the work meanwhile."""
    with under_load(deployment):
        for process in deployment.stack.processes[role]:
            process.kill()
            time.sleep(1.0)
            restarted(deployment.stack, process)


def test_row24_a_query_api_killed_under_1000_open_futures(deployment: Deployment) -> None:
    first, second = deployment.stack.processes["query-api"]
    with deployment.client() as client, deployment.endpoint("lab"), Executor("lab", client) as executor:
        futures = [executor.submit(squared, n) for n in range(1000)]
        until_sync(lambda: any(future.done() for future in futures), 60)
        first.kill()
        second.kill()
        for process in (first, second):
            restarted(deployment.stack, process)
        assert [future.result(scaled(120)) for future in futures] == [n * n for n in range(1000)]


def test_row13_a_broker_killed_and_restarted_under_load(deployment: Deployment) -> None:
    (broker,) = deployment.stack.processes["kafka"]
    apis = deployment.stack.processes["command-api"]
    with under_load(deployment, 2.0):
        broker.kill()
        try:
            until_sync(lambda: not any(ready(each) for each in apis), 15)
        finally:
            broker.start()
        began = time.monotonic()
        until_sync(lambda: all(ready(each) for each in apis), 30)
        back = time.monotonic() - began
        for role in ("query-api", "gateway", "projectors"):
            for process in deployment.stack.processes[role]:
                until_sync(lambda process=process: ready(process), 30)  # type: ignore[misc]
    print(f"ready {back:.1f} s after the broker answered again")
    assert back < 5


def test_row14_while_the_broker_is_frozen_requests_end_and_readiness_is_red(deployment: Deployment) -> None:
    (broker,) = deployment.stack.processes["kafka"]
    api = deployment.stack.processes["command-api"][0]
    threads = Path(f"/proc/{api.pid}/task")
    with under_load(deployment, 2.0):
        before = len(list(threads.iterdir()))
        broker.signal(signal.SIGSTOP)
        try:
            until_sync(lambda: not ready(api), 15)
            began = time.monotonic()
            answers = [submit(deployment, api.address) for _ in range(2)]
            assert time.monotonic() - began < scaled(40)
            assert {answer.status_code for answer in answers} == {503}
            assert all(answer.headers["Retry-After"] for answer in answers)
            assert httpx2.get(f"http://{api.address}/healthz", trust_env=False).status_code == 200
            assert len(list(threads.iterdir())) <= before + 8
        finally:
            broker.signal(signal.SIGCONT)
        until_sync(lambda: ready(api), 30)


def test_row15_while_the_database_is_away_tasks_run_and_results_arrive(deployment: Deployment) -> None:
    (database,) = deployment.stack.processes["mongo"]
    query = deployment.stack.processes["query-api"][0]
    with under_load(deployment, 2.0), deployment.client() as client:
        # By its id: a name is looked up in the read models.
        lab = client.get_endpoint_metadata("lab")["endpoint_id"]
        database.kill()
        try:
            with Executor(lab, client) as executor:
                assert executor.submit(squared, 12).result(scaled(60)) == 144
            until_sync(lambda: not ready(query), 15)
        finally:
            database.start()
        until_sync(lambda: ready(query), 60)


def share(projector: NativeProcess) -> set[int]:
    """The partitions that a projector has, as it has said last."""
    said = re.findall(r"partitions of projectors: \[(.*?)\]", projector.log.read_text())
    return {int(number) for number in said[-1].split(",") if number.strip()} if said else set()


def froze_amid_a_save(stack: Stack, projector: NativeProcess) -> bool:
    """Freeze it, and let it go again where it has no save under way: the rest of one comes when it wakes."""
    with pymongo.MongoClient[dict[str, Any]](f"mongodb://{stack.addresses('mongo')[0]}/") as client:
        projector.signal(signal.SIGSTOP)
        lock = client.funcledger[LOCKS].find_one()
        time.sleep(0.5)  # a living one gives the lock back sooner
        if lock is not None and client.funcledger[LOCKS].find_one() == lock:
            holder = lock["holder"]
            last = client.funcledger[STATE].find_one(STATE_FILTER)
            # Ids of one process grow: a greater one of the same is that save, and it has moved the positions.
            if last and not (last["save"].binary[4:9] == holder.binary[4:9] and last["save"] > holder):
                return True
        projector.signal(signal.SIGCONT)
        return False


def test_row25_a_frozen_projector_loses_its_partitions_and_writes_nothing_late(
    deployment: Deployment,
) -> None:
    """Longer than its session: the other one takes over, and what it writes when it wakes is refused."""
    projectors = one, two = deployment.stack.processes["projectors"]
    with under_load(deployment, 2.0), deployment.client() as client:
        where = client.get_endpoint_metadata("lab")["partition"]
        until_sync(lambda: (where in share(one)) != (where in share(two)), 30)
        frozen, other = (one, two) if where in share(one) else (two, one)
        whole, said = share(one) | share(two), len(frozen.log.read_text())
        until_sync(lambda: froze_amid_a_save(deployment.stack, frozen), 60)
        try:
            until_sync(lambda: share(other) == whole, 30)
            caught_up(deployment.stack, where)
        finally:
            frozen.signal(signal.SIGCONT)
        until_sync(lambda: REFUSED.search(frozen.log.read_text()[said:]), 30)
        until_sync(lambda: share(frozen) < whole and share(other) == whole - share(frozen), 30)
        until_sync(lambda: all(ready(each) for each in projectors), 30)


def test_row26_partitions_grow_under_load_and_nobody_moves(deployment: Deployment) -> None:
    """Each endpoint stays in its partition, and its tasks are started in the order of the log."""
    with deployment.client() as client:
        for number in range(PARTITIONS):  # so that the first ones are taken
            client.register_endpoint(f"settled {number}")
        # One worker, so that the order of starts is the order they were given out in.
        with under_load(deployment, 6.0, workers=1):
            before = {each["endpoint_id"]: each["partition"] for each in client.get_endpoints()}
            assert len(before) == PARTITIONS + 1
            lab = client.get_endpoint_metadata("lab")["endpoint_id"]
            for partitions in (16, 40):
                done = distributed.run_topics(deployment.stack, "grow", str(partitions))
                assert done.returncode == 0, done.stderr
            with deployment.endpoint("new", 1) as new, Executor("new", client) as executor:
                assert list(executor.map(squared, range(20), timeout=scaled(60))) == [
                    n * n for n in range(20)
                ]
                after = {each["endpoint_id"]: each["partition"] for each in client.get_endpoints()}
        assert after == before | {new: after[new]}
        assert after[new] >= PARTITIONS
        found = told(deployment.stack)
        for endpoint in (lab, new):
            assert found[endpoint].partitions == {after[endpoint]}
            assert len(found[endpoint].started) >= 20
            assert list(found[endpoint].started) == list(found[endpoint].submitted)


def test_many_endpoints_on_one_partition_do_not_notice_each_other(deployment: Deployment) -> None:
    """More endpoints than partitions: some share one, and each gets its own tasks and no other's."""
    with deployment.client() as client:
        for number in range(2 * 40):
            client.register_endpoint(f"idle {number}")
        with deployment.endpoint("one", 1) as one, deployment.endpoint("other", 1) as other:
            where = {each["endpoint_id"]: each["partition"] for each in client.get_endpoints()}
            sharing = [each for each in where.values() if each == where[one]]
            assert len(sharing) > 1
            with Executor("one", client) as first, Executor("other", client) as second:
                here = [first.submit(squared, n) for n in range(50)]
                there = [second.submit(squared, -n) for n in range(50)]
                assert [each.result(scaled(60)) for each in (*here, *there)] == [
                    n * n for n in [*range(50)] * 2
                ]
            assert where[other] is not None
    audited(deployment.stack)
