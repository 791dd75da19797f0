"""``funcledger backup`` and ``restore`` as users run them: beside a busy server, killed, on a full disk."""

import json
import resource
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.deadlines import scaled
from tests.support.leftovers import gone
from tests.support.poll import until_sync
from tests.support.standalone import Standalone, funcledger, standalone

from funcledger import Client

#: Every so many tasks have a result that stands outside the log's database.
LARGE_EVERY = 20


def squared(x: int) -> int:
    return x * x


def padded(x: int) -> bytes:
    return b"%d" % x * 40_000


class Load(threading.Thread):
    """Submits without end; ``acknowledged`` is what the server has said it has, by task id."""

    def __init__(self, client: Client) -> None:
        super().__init__()
        self._client = client
        self._functions = [client.register_function(each) for each in (squared, padded)]
        self._over = threading.Event()
        self.acknowledged: dict[str, int] = {}

    def run(self) -> None:
        while not self._over.is_set():
            batch = self._client.create_batch()
            numbers = range(len(self.acknowledged), len(self.acknowledged) + 20)
            for number in numbers:
                function = self._functions[number % LARGE_EVERY == 0]
                batch.add(number, endpoint_id="local", function_id=function)
            self.acknowledged.update(zip(self._client.batch_run(batch), numbers, strict=True))
            time.sleep(0.02)

    def stop(self) -> None:
        self._over.set()
        self.join(scaled(30))
        assert not self.is_alive()


def expected(number: int) -> int | bytes:
    return squared(number) if number % LARGE_EVERY else padded(number)


def check(client: Client, tasks: dict[str, int]) -> None:
    """Every task has its value; those cut off by the backup run on the endpoint that was restored with it."""
    found = client.get_batch_result(list(tasks), timeout=scaled(60))
    assert {task: found[task]["result"] for task in tasks} == {
        task: expected(number) for task, number in tasks.items()
    }


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Standalone]:
    with standalone(tmp_path / "data", "--workers", "1") as started:
        yield started


def test_a_backup_under_load_holds_all_that_was_acknowledged_and_the_server_goes_on(
    server: Standalone, tmp_path: Path
) -> None:
    with server.client() as client:
        load = Load(client)
        load.start()
        try:
            until_sync(lambda: len(load.acknowledged) >= 200, 30)
            before = dict(load.acknowledged)
            done = server.cli_json("backup", str(tmp_path / "backup"))
            during = len(load.acknowledged)
            until_sync(lambda: len(load.acknowledged) > during, 30)
        finally:
            load.stop()
        assert done["records"]["tasks"] >= len(before)
        check(client, load.acknowledged)
    server.stop()
    restored = Standalone(tmp_path / "new").cli(
        "restore", str(tmp_path / "backup"), "--data-dir", str(tmp_path / "new")
    )
    assert restored.returncode == 0, restored.stderr
    with standalone(tmp_path / "new") as again, again.client() as client:
        check(client, before)
        check(client, {client.run(7, endpoint_id="local", function_id=load._functions[0]): 7})


def test_a_killed_server_is_backed_up_with_all_it_had_acknowledged(
    server: Standalone, tmp_path: Path
) -> None:
    with server.client() as client:
        load = Load(client)
        load.start()
        until_sync(lambda: len(load.acknowledged) >= 60, 30)
        load.stop()
        server.kill()
    assert server.cli("backup", str(tmp_path / "backup")).returncode == 0
    target = str(tmp_path / "new")
    assert server.cli("restore", str(tmp_path / "backup"), "--data-dir", target).returncode == 0
    with standalone(tmp_path / "new") as again, again.client() as client:
        check(client, load.acknowledged)


def test_a_restore_over_a_running_server_is_refused_in_one_sentence(
    server: Standalone, tmp_path: Path
) -> None:
    assert server.cli("backup", str(tmp_path / "backup")).returncode == 0
    done = server.cli("restore", str(tmp_path / "backup"), "--data-dir", str(server.folder))
    assert done.returncode == 1
    assert "a server runs on" in done.stderr
    assert "Traceback" not in done.stderr
    with server.client() as client:
        assert client.get_endpoints()


@pytest.fixture
def much(tmp_path: Path, server: Standalone) -> Standalone:
    """A server that was stopped, with 60 MB of results: enough that a backup takes a moment."""
    with server.client() as client:
        function = client.register_function(bytes)
        batch = client.create_batch()
        for _ in range(15):
            batch.add(4_000_000, endpoint_id="local", function_id=function)
        client.get_batch_result(client.batch_run(batch), timeout=scaled(60))
    server.stop()
    return server


def test_a_backup_killed_midway_leaves_nothing_under_its_name(much: Standalone, tmp_path: Path) -> None:
    """``kill -9`` once its files appear, and again and again a little later, until one was quicker."""
    target, partial = tmp_path / "backup", tmp_path / ".backup.partial"
    killed = 0
    for delay in (0.0, 0.02, 0.05, 0.1, 0.2, 0.3):
        process = subprocess.Popen(funcledger("backup", str(target)), env=much.environment)
        with gone(process):
            until_sync(lambda: (partial / "log").exists() or process.poll() is not None, 30)  # noqa: B023
            time.sleep(delay)
        if process.returncode == 0:
            break
        killed += 1
        assert partial.exists()
        assert not target.exists()
    assert killed >= 2
    if not target.exists():
        assert much.cli("backup", str(target)).returncode == 0
    assert not partial.exists()
    done = much.cli("restore", str(target), "--data-dir", str(tmp_path / "new"))
    assert done.returncode == 0, done.stderr


def test_a_backup_that_finds_no_room_says_so_and_leaves_nothing(much: Standalone, tmp_path: Path) -> None:
    def no_room() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (10_000_000, 10_000_000))
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)

    done = subprocess.run(
        funcledger("backup", str(tmp_path / "backup")),
        env=much.environment, capture_output=True, text=True, timeout=scaled(60), check=False,
        preexec_fn=no_room,
    )  # fmt: skip
    assert done.returncode == 1
    assert "the backup could not be made" in done.stderr
    assert "Traceback" not in done.stderr
    assert {path.name for path in tmp_path.iterdir()} == {"data", "data.out"}


def test_a_backup_says_in_json_what_is_in_it(much: Standalone, tmp_path: Path) -> None:
    said = much.cli_json("backup", str(tmp_path / "backup"))
    manifest = json.loads((tmp_path / "backup" / "backup.json").read_text())
    assert said["records"] == manifest["records"]
    assert said["values"] == manifest["values"] == 15
    assert said["bytes"] > 60_000_000
