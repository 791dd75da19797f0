"""One machine, as a newcomer runs it: the server, its endpoint, kills, and what is said when it cannot be."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.deadlines import scaled
from tests.support.poll import until_sync
from tests.support.standalone import Standalone, lag, standalone


def squared(x: int) -> int:
    return x * x


def nap(seconds: float) -> str:
    time.sleep(seconds)
    return "rested"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Standalone]:
    with standalone(tmp_path / "data", "--workers", "2") as started:
        yield started


def test_a_killed_agent_is_replaced_and_its_running_task_runs_again(server: Standalone) -> None:
    """Law 6, with the processes of ``funcledger up``."""
    with server.client() as client:
        function = client.register_function(nap)
        task = client.run(1.0, endpoint_id="local", function_id=function)
        until_sync(lambda: client.get_task(task)["status"] == "running", 20)
        pid = server.agent_pid()
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        assert client.get_result(task, timeout=scaled(60)) == "rested"
        started = [e["event"]["attempt"] for e in client.get_task_history(task) if e["type"] == "TaskStarted"]
        assert started == [1, 2]


def test_everything_is_there_again_after_a_stop(server: Standalone) -> None:
    """Results can be fetched again by a later server, and nothing of the first one is left running."""
    with server.client() as client:
        function = client.register_function(squared)
        task = client.run(7, endpoint_id="local", function_id=function)
        assert client.get_result(task, timeout=scaled(20)) == 49
    agent = server.agent_pid()
    assert agent is not None
    assert server.stop() == 0
    assert not Path(f"/proc/{agent}").exists()
    server.start()
    with server.client() as client:
        assert client.get_result(task, timeout=scaled(20)) == 49
        assert (
            client.get_result(client.run(8, endpoint_id="local", function_id=function), timeout=scaled(20))
            == 64
        )


def test_a_second_agent_elsewhere_needs_only_the_address_and_its_credential(
    server: Standalone, tmp_path: Path
) -> None:
    """Register here; configure, start and stop there, in another data directory and without a token."""
    printed = server.cli("endpoint", "register", "lab").stdout
    credential = next(line.split("=")[1] for line in printed.splitlines() if "FUNCLEDGER_CREDENTIAL=" in line)
    there = {"FUNCLEDGER_DATA_DIR": str(tmp_path / "elsewhere"), "FUNCLEDGER_CREDENTIAL": credential}
    done = server.cli("endpoint", "configure", "lab", "--url", server.url, "--workers", "1", **there)
    assert done.returncode == 0, done.stderr
    done = server.cli("endpoint", "start", "lab", **there)
    assert done.returncode == 0, done.stderr
    try:
        with server.client() as client:
            function = client.register_function(os.getppid)
            parent = client.get_result(
                client.run(endpoint_id="lab", function_id=function), timeout=scaled(30)
            )
            assert parent != server.agent_pid()
            getenv = client.register_function(os.getenv)
            task = client.run("FUNCLEDGER_CREDENTIAL", endpoint_id="lab", function_id=getenv)
            assert client.get_result(task, timeout=scaled(30)) is None
        row = next(e for e in server.cli_json("endpoint", "list") if e["name"] == "lab")
        assert row["status"] == "online"
        assert row["endpoint_id"]
    finally:
        done = server.cli("endpoint", "stop", "lab", **there)
    assert done.returncode == 0, done.stderr
    until_sync(lambda: server.cli_json("endpoint", "status", "lab")["status"] == "offline", 10)


def test_the_command_line_lists_shows_cancels_and_tells_the_history(server: Standalone) -> None:
    with server.client() as client:
        task = client.run(60, endpoint_id="local", function_id=client.register_function(nap))
        until_sync(lambda: client.get_task(task)["status"] == "running", 20)
        assert server.cli_json("task", "list", "--status", "running")[0]["task_id"] == task
        assert server.cli("task", "cancel", task).returncode == 0
        until_sync(lambda: client.get_task(task)["status"] == "cancelled", 20)
    assert server.cli_json("task", "show", task)["status"] == "cancelled"
    told = [entry["type"] for entry in server.cli_json("task", "history", task)]
    assert told == ["TaskSubmitted", "TaskStarted", "TaskCancelRequested", "TaskCancelled"]
    assert "TaskCancelled" in server.cli("task", "history", task).stdout
    wrong = server.cli("task", "show", "01a207c0-0000-7000-8000-000000000000")
    assert wrong.returncode == 1
    assert "01a207c0-0000-7000-8000-000000000000" in wrong.stderr
    assert "Traceback" not in wrong.stderr


def test_a_program_that_shut_its_executor_down_ends_at_once(server: Standalone) -> None:
    program = (
        "import time\nfrom funcledger import Executor\n"
        "with Executor(endpoint_id='local') as executor:\n"
        "    executor.submit(abs, 1).result()\n"
        "print(time.time())\n"
    )
    environment = server.environment | {"FUNCLEDGER_TOKEN": (server.folder / "token").read_text().strip()}
    command = [sys.executable, "-c", program]
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=scaled(60), check=True
    )
    assert time.time() - float(done.stdout) < scaled(5)


def test_a_port_that_is_taken_is_said_in_one_sentence(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = Standalone(tmp_path / "data").cli("up", "--port", str(port), FUNCLEDGER_URL="")
    assert done.returncode == 1
    assert f"port {port} on 127.0.0.1" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_data_directory_in_use_is_said_in_one_sentence(server: Standalone) -> None:
    done = server.cli("up", "--port", "0")
    assert done.returncode == 1
    assert str(server.folder) in done.stderr
    assert "Traceback" not in done.stderr


def test_a_data_directory_of_a_newer_version_is_refused_with_a_sentence(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "format.json").write_text(json.dumps({"format": 999}))
    done = Standalone(folder).cli("up", "--port", "0")
    assert done.returncode == 1
    assert "newer funcledger" in done.stderr


def test_a_setting_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    done = Standalone(tmp_path / "data").cli("up", FUNCLEDGER_PORT="eighty")
    assert done.returncode == 1
    assert "port" in done.stderr
    assert "Traceback" not in done.stderr


def test_lag_and_requests_are_metrics_and_the_description_is_openapi_3_1(server: Standalone) -> None:
    """With the token, as every route but the probes; and the read models catch up with the log."""
    with server.client() as client:
        client.get_result(
            client.run(3, endpoint_id="local", function_id=client.register_function(squared)), 20
        )
        until_sync(lambda: lag(client) == 0, 10)
        assert client.transport.get("/openapi.json")["openapi"].startswith("3.1")
        assert client.transport.get("/version")["version"]


def test_what_a_function_prints_is_in_the_endpoints_one_log(server: Standalone) -> None:
    with server.client() as client:
        function = client.register_function(print)
        task = client.run("seen in the log", endpoint_id="local", function_id=function)
        client.get_result(task, 20)
    folder = server.folder / "endpoints" / "local"
    until_sync(lambda: f"[{task}] seen in the log" in (folder / "endpoint.log").read_text(), 10)
    assert [file.name for file in folder.glob("*.log")] == ["endpoint.log"]


def test_the_token_is_private_and_the_server_asks_for_it(server: Standalone) -> None:
    """ATTACKS 33, on the real loopback port."""
    import httpx2

    assert (server.folder / "token").stat().st_mode & 0o777 == 0o600
    assert server.folder.stat().st_mode & 0o777 == 0o700
    assert httpx2.get(f"{server.url}/v1/tasks").status_code == 401
    assert httpx2.get(f"{server.url}/healthz", headers={"Host": "evil.example"}).status_code == 421
