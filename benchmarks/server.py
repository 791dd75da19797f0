"""A funcledger server as a user starts one, in a data directory that goes with it."""

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

WORKERS = 2


@contextmanager
def server(workers: int = WORKERS) -> Iterator["subprocess.Popen[str]"]:
    """``funcledger up`` on a free port; ``Client()`` and ``Executor()`` of this process find it."""
    with data_dir(), started(workers) as process:
        yield process


@contextmanager
def data_dir() -> Iterator[None]:
    """An empty data directory, for the servers started meanwhile."""
    with tempfile.TemporaryDirectory(prefix="funcledger-bench-") as folder:
        os.environ["FUNCLEDGER_DATA_DIR"] = folder
        yield


@contextmanager
def started(workers: int = WORKERS) -> Iterator["subprocess.Popen[str]"]:
    """A server on the data directory there is."""
    command = [sys.executable, "-m", "funcledger_compose", "up", "--port", "0", "--workers", str(workers)]
    log = Path(os.environ["FUNCLEDGER_DATA_DIR"]) / "server.err"
    with log.open("w") as errors:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True)
        try:
            _wait_ready(process, log)
            yield process
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(60)
            assert process.stdout is not None
            process.stdout.close()


def _wait_ready(process: "subprocess.Popen[str]", log: Path) -> None:
    assert process.stdout is not None
    for line in process.stdout:
        if "http://" in line:
            return
    raise SystemExit(f"the server did not start:\n{log.read_text()}")
