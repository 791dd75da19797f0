"""``funcledger up`` and the rest of the command line as users run them: real processes, real kills."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil
from tests.support.deadlines import scaled
from tests.support.poll import until_sync

from funcledger import Client
from funcledger_compose.native.process import free_port


class Standalone:
    """A server with its data directory; killed and started again at will, at the same address."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.folder = folder
        self.port = free_port()
        self.output = folder.with_name(folder.name + ".out")
        #: For the next start: what is run as the command ``funcledger``, and more of its environment.
        self.program = "funcledger_compose"
        self.more: dict[str, str] = {}
        self._options = options
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def environment(self) -> dict[str, str]:
        """What a user of this server has in the environment, and nothing of the surroundings'."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("FUNCLEDGER_")}
        return kept | {"FUNCLEDGER_DATA_DIR": str(self.folder), "FUNCLEDGER_URL": self.url} | self.more

    def start(self) -> None:
        """Start, and return once it says that it is ready."""
        said = self.output.stat().st_size if self.output.exists() else 0
        process = self.spawn()
        until_sync(lambda: b"is ready" in self.output.read_bytes()[said:] or process.poll() is not None, 30)
        assert process.poll() is None, self.output.read_text()

    def spawn(self) -> "subprocess.Popen[bytes]":
        """Start, and do not wait."""
        command = ["up", "--data-dir", str(self.folder), "--port", str(self.port), *self._options]
        with self.output.open("ab") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-m", self.program, *command],
                stdout=output,
                stderr=output,
                env=self.environment,
                start_new_session=True,
            )
        return self._process

    @property
    def process(self) -> "subprocess.Popen[bytes] | None":
        """The server started last."""
        return self._process

    @property
    def pid(self) -> int:
        """The server's process."""
        assert self._process is not None
        return self._process.pid

    def died(self, timeout: float = 30) -> int:
        """Wait until it has ended by itself; how."""
        assert self._process is not None
        return self._process.wait(scaled(timeout))

    def kill(self) -> None:
        """As a power cut would, but for the disk."""
        assert self._process is not None
        self._process.send_signal(signal.SIGKILL)
        self._process.wait(scaled(10))

    def stop(self, how: signal.Signals = signal.SIGINT) -> int:
        """In good order; the exit code."""
        assert self._process is not None
        self._process.send_signal(how)
        return self._process.wait(scaled(60))

    def client(self) -> Client:
        return Client(self.url, (self.folder / "token").read_text().strip())

    def cli(self, *words: str, **environment: str) -> "subprocess.CompletedProcess[str]":
        """Run a command to its end."""
        return subprocess.run(
            funcledger(*words),
            env=self.environment | environment,
            capture_output=True,
            text=True,
            timeout=scaled(60),
            check=False,
        )

    def cli_json(self, *words: str) -> Any:
        """What a command with ``--json`` says."""
        done = self.cli(*words, "--json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def agent_pid(self) -> int | None:
        """The local endpoint's agent."""
        from funcledger_compose.endpoint_dir import EndpointDir

        return EndpointDir(self.folder / "endpoints", "local").pid()


def projectors_of(server: int) -> list[psutil.Process]:
    """The process of a server's projector; none where it has just ended, or the server has."""
    found = []
    with suppress(psutil.NoSuchProcess):
        for child in psutil.Process(server).children():
            with suppress(psutil.NoSuchProcess):
                found += [child] if "funcledger_compose.projecting" in child.cmdline() else []
    return found


def metric(client: Client, name: str) -> float:
    """One of the server's figures."""
    text = client.transport.request("GET", "/metrics").text
    return float(next(line.split()[-1] for line in text.splitlines() if line.startswith(f"{name} ")))


def lag(client: Client) -> float:
    """Records that the read models do not reflect yet, as the server has last looked."""
    return metric(client, "funcledger_projector_lag_records")


def funcledger(*words: str) -> list[str]:
    return [sys.executable, "-m", "funcledger_compose", *words]


@contextmanager
def standalone(
    folder: Path, *options: str, program: str = "funcledger_compose", more: Mapping[str, str] | None = None
) -> Iterator[Standalone]:
    """A running server, ended with the block, and its agent with it."""
    server = Standalone(folder, *options)
    server.program, server.more = program, dict(more or {})
    try:
        server.start()
        yield server
        if server._process is not None and server._process.poll() is None:
            server.stop()
    finally:
        if server._process is not None:
            server.kill()
        if (pid := server.agent_pid()) is not None:
            os.kill(pid, signal.SIGKILL)
