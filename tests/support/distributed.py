"""The services as processes of their own on the real broker and database, and endpoints that reach them.

One stack for all tests of a run; each test module has a user of its own, and so sees nothing of the others'.
"""

import atexit
import functools
import itertools
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.support import leftovers, parts
from tests.support.deadlines import scaled
from tests.support.poll import until_sync
from tests.support.standalone import funcledger

from funcledger import Client
from funcledger_compose.native.door import door
from funcledger_compose.native.process import NativeProcess, free_port
from funcledger_compose.native.stack import COMPOSE_FILE, Stack
from funcledger_web.tokens import USER_PREFIX, digest, new_token

#: Users there are for test modules: two each.
TOKENS = [new_token(USER_PREFIX) for _ in range(100)]
_unused = (
    itertools.batched(TOKENS, 2) if hasattr(itertools, "batched") else zip(*[iter(TOKENS)] * 2, strict=True)
)


def started(folder: Path, *, files: Sequence[Path] = (COMPOSE_FILE,), partitions: int = 8) -> Stack:
    """A stack that runs; what cannot be had here skips the test, or fails it in CI."""
    known = ",".join(f"user{number}={digest(token)}" for number, token in enumerate(TOKENS))
    environ = {"FUNCLEDGER_TOKENS": known, "FUNCLEDGER_PARTITIONS": str(partitions)}
    stack = Stack(folder, environ, files=files)
    try:
        parts.had("the distributed services", stack.start)
    except BaseException:
        stack.stop()
        raise
    return stack


@functools.cache
def shared() -> Stack:
    """The one for all tests that leave it running."""
    folder = Path(tempfile.mkdtemp(prefix="funcledger-stack-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    with leftovers.staying():
        stack = started(folder)
    atexit.register(stack.stop)
    return stack


@contextmanager
def door_with_backlog(stack: Stack, folder: Path, tasks: int) -> Iterator[str]:
    """Where clients meet one more command API of a stack, with this limit, beside its other services."""
    port = free_port()
    told = {"FUNCLEDGER_PORT": str(port), "FUNCLEDGER_BACKLOG_TASKS": str(tasks)}
    environment = stack.environment("command-api") | told
    api = NativeProcess(funcledger("serve", "command-api"), port, folder / "command-api.log", environment)
    queries, gateways = (" ".join(stack.addresses(role)) for role in ("query-api", "gateway"))
    ways = {"COMMAND_API": api.address, "QUERY_API": queries, "GATEWAY": gateways}
    entrance = door(folder / "door", free_port(), ways)
    try:
        api.start()
        stack.ready(api)
        entrance.start()
        yield f"http://{entrance.address}"
    finally:
        entrance.stop()
        api.stop()


class Deployment:
    """A running stack as its users see it; endpoints are agents in processes of their own."""

    def __init__(self, stack: Stack, folder: Path, *, direct: bool = False, url: str = "") -> None:
        """``url`` where its users come in by another door."""
        self.stack = stack
        self.url = url or stack.url
        self.token, self.other_token = next(_unused)
        self.folder = folder
        self._direct = direct

    def client(self, token: str | None = None) -> Client:
        """A client of it."""
        return Client(self.url, token or self.token)

    @property
    def environment(self) -> dict[str, str]:
        """What an endpoint of this user has in its environment."""
        return self.stack.environment("gateway") | {
            "FUNCLEDGER_DATA_DIR": str(self.folder),
            "FUNCLEDGER_URL": self.url,
            "FUNCLEDGER_TOKEN": self.token,
        }

    @contextmanager
    def endpoint(self, name: str = "lab", workers: int = 2) -> Iterator[str]:
        """An endpoint of that name with an agent that is online; its id. Deleted with the block."""
        with self.client() as client:
            made = client.register_endpoint(name)
            with self.agent(name, made["credential"], workers):
                until_sync(lambda: client.get_endpoint_status(name)["status"] == "online", 30.0)
                yield made["endpoint_id"]
            client.delete_endpoint(name)

    @contextmanager
    def agent(
        self, name: str, credential: str, workers: int = 2, **changed: str
    ) -> Iterator["subprocess.Popen[bytes]"]:
        """The agent of a registered endpoint; ``changed`` is of its environment."""
        told = self.environment | {"FUNCLEDGER_CREDENTIAL": credential} | changed
        configure = ["endpoint", "configure", name, "--workers", str(workers), "--force"]
        configure += ["--direct"] if self._direct else []
        done = subprocess.run(funcledger(*configure), env=told, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        with (Path(told["FUNCLEDGER_DATA_DIR"]) / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(
                funcledger("endpoint", "run", name),
                env=self.environment | changed,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        with leftovers.gone(process):
            yield process
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
                process.wait(scaled(60))


def run_topics(stack: Stack, *words: str) -> "subprocess.CompletedProcess[str]":
    """``funcledger topics`` as this stack's operator runs it."""
    return subprocess.run(
        funcledger("topics", *words),
        env=os.environ | stack.environment("topics"),
        capture_output=True,
        text=True,
        timeout=scaled(120),
        check=False,
    )


def run_service(stack: Stack, role: str, **changed: str) -> "subprocess.CompletedProcess[str]":
    """``funcledger serve`` with other settings than the stack's, to its end."""
    return subprocess.run(
        funcledger("serve", role, "--port", "0"),
        env=stack.environment(role) | changed,
        capture_output=True,
        text=True,
        timeout=scaled(30),
        check=False,
    )
