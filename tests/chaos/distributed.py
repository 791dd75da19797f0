"""The stack ``distributed``: two of each service on a real broker and database, and an endpoint's agent."""

import asyncio
import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
from tests.chaos.agents import Agents
from tests.chaos.auditor.facts import Raw
from tests.chaos.auditor.kafka import records
from tests.chaos.rebuilding import rebuilt, settled
from tests.chaos.stack import Rebuilt, Victim
from tests.support.poll import until_sync
from tests.support.standalone import funcledger

from funcledger import Client
from funcledger_compose.native.process import NativeProcess
from funcledger_compose.native.stack import Stack
from funcledger_event_log.kafka import KafkaLog, KafkaSettings
from funcledger_read_models.mongo import MongoStore
from funcledger_read_models.sqlite import SqliteStore
from funcledger_web.tokens import USER_PREFIX, digest, new_token

#: Victims by what the compose file calls them.
_ROLES = {
    "kafka": "broker",
    "mongo": "database",
    "door": "door",
    "command-api": "command-api",
    "query-api": "query-api",
    "gateway": "gateway",
    "projectors": "projector",
}
#: How a process ends that was told to: by itself, or as the JVM does.
_IN_ORDER = (0, 128 + signal.SIGTERM)
#: Seconds that the read models may be behind.
_BEHIND = 240.0


class Distributed:
    """A ``Stack``; ``direct`` when the endpoint reads its partition from the broker itself."""

    roles = (*_ROLES.values(), "agent", "worker")

    def __init__(self, folder: Path, *, direct: bool = False) -> None:
        self._token, self._direct = new_token(USER_PREFIX), direct
        told = {"FUNCLEDGER_TOKENS": f"chaos={digest(self._token)}", "FUNCLEDGER_PARTITIONS": "4"}
        self._stack = Stack(folder / "stack", told)
        self._homes = folder / "here", folder / "elsewhere"
        self._agents: Agents | None = None
        self._ended: list[str] = []

    @property
    def environment(self) -> dict[str, str]:
        """As the port says."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("FUNCLEDGER_")}
        named = {"FUNCLEDGER_URL": self._stack.url, "FUNCLEDGER_TOKEN": self._token}
        return kept | {"FUNCLEDGER_DATA_DIR": str(self._homes[0])} | named

    def start(self) -> None:
        """As the port says."""
        self._stack.start()
        with Client(self._stack.url, self._token) as client:
            credential = client.register_endpoint("local")["credential"]
            for home in self._homes:
                self._configure(home, credential)
            self._agents = Agents(*(self._environment_of_agent(home) for home in self._homes))
            self._agents.tend()
            until_sync(lambda: client.get_endpoint_status("local")["status"] == "online", 30.0)

    def _environment_of_agent(self, home: Path) -> dict[str, str]:
        """Through the gateway it knows of no broker."""
        broker = self._stack.environment("gateway") if self._direct else {}
        return broker | self.environment | {"FUNCLEDGER_DATA_DIR": str(home)}

    def _configure(self, home: Path, credential: str) -> None:
        home.mkdir()
        (home / "token").write_text(self._token)
        (home / "token").chmod(0o600)
        words = ["endpoint", "configure", "local", "--workers", "2", *(["--direct"] if self._direct else [])]
        told = self._environment_of_agent(home) | {"FUNCLEDGER_CREDENTIAL": credential}
        subprocess.run(funcledger(*words), env=told, check=True)

    def tend(self) -> None:
        """As the port says; each at the address it had, like a container that is always restarted."""
        for name, process in self._processes():
            if not process.running:
                self._note(name, process)
                process.spawn()
        if self._agents is not None:
            self._agents.tend()

    def _processes(self) -> list[tuple[str, NativeProcess]]:
        return [(name, each) for name in _ROLES for each in self._stack.processes.get(name, [])]

    def _note(self, name: str, process: NativeProcess, *right: int) -> None:
        if process.exit_code not in (None, -signal.SIGKILL, *right):
            said = process.log.read_text(errors="replace")[-500:]
            self._ended.append(f"{name} ended with {process.exit_code}: {said}")

    def victims(self) -> list[Victim]:
        """As the port says."""
        found = [] if self._agents is None else self._agents.victims()
        for name, process in self._processes():
            with suppress(psutil.NoSuchProcess):  # it may end while we look
                if process.running:
                    found.append(Victim(_ROLES[name], psutil.Process(process.pid)))
        return found

    def usurp(self) -> int | None:
        """As the port says; it ends as fenced once the first has been started again."""
        assert self._agents is not None
        return self._agents.usurp()

    def endings(self) -> list[str]:
        """As the port says."""
        return self._ended + (self._agents.endings if self._agents is not None else [])

    def settle(self) -> None:
        """As the port says; the database writes more slowly than tasks run."""
        asyncio.run(self._settle())

    async def _settle(self) -> None:
        log, live = self._log(), await MongoStore.open(self._mongo)
        try:
            await settled(log, live, _BEHIND)
        finally:
            await live.close()
            await log.close()

    def stop(self) -> None:
        """As the port says; what was killed last may just be starting again."""
        if self._agents is not None:
            self._agents.stop()
        self._stack.stop()
        for name, process in self._processes():
            self._note(f"told to stop, {name}", process, *_IN_ORDER)
            if process.exit_code == -signal.SIGKILL:
                self._ended.append(f"{name} had to be killed, told to stop")

    @contextmanager
    def _standing(self, *names: str) -> Iterator[None]:
        """Broker and database once more, without anything that writes."""
        processes = [process for name in names for process in self._stack.processes[name]]
        try:
            for process in processes:
                process.start()
            yield
        finally:
            for process in processes:
                process.stop()

    def records(self) -> Iterator[Raw]:
        """As the port says."""
        with self._standing("kafka"):
            yield from records(self._stack.addresses("kafka")[0], "funcledger.")

    def rebuild(self, folder: Path) -> Rebuilt:
        """As the port says; into another kind of store, which must come to the same."""
        with self._standing("kafka", "mongo"):
            return asyncio.run(self._rebuild(folder))

    async def _rebuild(self, folder: Path) -> Rebuilt:
        log, live = self._log(), await MongoStore.open(self._mongo)
        fresh = await SqliteStore.open(folder / "rebuilt.db")
        try:
            return await rebuilt(log, live, fresh)
        finally:
            await fresh.close()
            await live.close()
            await log.close()

    def _log(self) -> KafkaLog:
        return KafkaLog(KafkaSettings(self._stack.addresses("kafka")[0]))

    @property
    def _mongo(self) -> str:
        return f"mongodb://{self._stack.addresses('mongo')[0]}/"
