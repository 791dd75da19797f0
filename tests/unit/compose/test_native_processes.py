"""Processes of ``make up-distributed``: those a killed run left, ports that are taken, two runs at once."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from tests.support.poll import until_sync

from funcledger_compose.native.alone import Running, alone
from funcledger_compose.native.process import NativeProcess, free_port
from funcledger_compose.native.stack import niceness


def server(folder: Path, port: int) -> NativeProcess:
    command = [sys.executable, "-m", "http.server", str(port), "--bind", "127.0.0.1"]
    return NativeProcess(command, port, folder / "server.log")


@pytest.fixture
def first(tmp_path: Path) -> Iterator[NativeProcess]:
    process = server(tmp_path, free_port())
    process.start()
    yield process
    process.kill()


def test_what_a_killed_run_left_running_is_ended_before_its_successor_starts(
    first: NativeProcess, tmp_path: Path
) -> None:
    second = server(tmp_path, first.port)
    try:
        second.start()
        until_sync(lambda: first.exit_code is not None, 10)
        assert second.running
        assert second.pid != first.pid
    finally:
        second.kill()


def test_what_has_a_small_share_of_the_processors_steps_back_for_others(tmp_path: Path) -> None:
    process = server(tmp_path, free_port())
    process.niceness = niceness(256)
    process.start()
    try:
        assert psutil.Process(process.pid).nice() == min(19, os.nice(0) + 6)
        told = Path(f"/proc/{process.pid}/autogroup")
        assert not told.exists() or told.read_text().endswith(" nice 6\n")
    finally:
        process.kill()


@pytest.mark.parametrize(("shares", "steps"), [(1024, 0), (4096, 0), (819, 1), (256, 6), (2, 19)])
def test_each_step_back_is_a_fifth_of_the_share(shares: int, steps: int) -> None:
    assert niceness(shares) == steps


def test_a_port_is_given_once_though_nobody_listens_on_it_yet() -> None:
    """A stack asks for all of its ports before the first of its processes listens."""
    given = [free_port() for _ in range(1_000)]
    assert len(set(given)) == len(given)


def test_a_process_that_only_has_the_number_of_the_old_one_is_left_alone(tmp_path: Path) -> None:
    with subprocess.Popen(["sleep", "60"]) as other:
        try:
            created = psutil.Process(other.pid).create_time() - 100
            (tmp_path / "server.pid").write_text(f"{other.pid} {created}")
            process = server(tmp_path, free_port())
            process.start()
            process.stop()
            assert other.poll() is None
        finally:
            other.kill()


def test_a_port_of_somebody_else_is_not_taken_for_ours(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        process = server(tmp_path, taken.getsockname()[1])
        with pytest.raises(RuntimeError, match="is taken by another process"):
            process.start()
        assert not process.running


def test_a_second_run_in_the_same_folder_is_refused(tmp_path: Path) -> None:
    with alone(tmp_path), pytest.raises(Running, match="it runs already, as process"), alone(tmp_path):
        pass
    with alone(tmp_path):
        pass
