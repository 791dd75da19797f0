"""The services of the compose file as plain processes, on the real broker and what stands in for MongoDB."""

import math
import os
import re
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx2

from funcledger_compose.native import kafka, mongo, registry
from funcledger_compose.native.build import RECIPES
from funcledger_compose.native.composed import ORDINARY_SHARES, ComposeError, Service, services
from funcledger_compose.native.door import door
from funcledger_compose.native.process import NativeProcess, free_port

COMPOSE_FILE = RECIPES.parent / "compose.yaml"
#: Seconds a service may take until it is ready.
PATIENCE = 60.0
#: Broker settings that say where it is, which here is elsewhere than in a container.
_PLACE = re.compile(r"(advertised\.)?listeners|log\.dirs|node\.id|process\.roles|controller\..*|listener\..*")
#: Settings of services that name other servers than the ones started here, and accounts for them.
_ELSEWHERE = re.compile(r"FUNCLEDGER_(KAFKA_(BOOTSTRAP|REPL|SECURITY|SASL|SSL)|MONGO_URI|SCHEMA_REGISTRY)\w*")


class Stack:
    """Everything the compose file names, in one folder, started and stopped together.

    ``processes`` are those of each service; each may be killed and started again by itself.
    """

    def __init__(
        self,
        folder: Path,
        environ: Mapping[str, str],
        *,
        port: int = 0,
        files: Sequence[Path] = (COMPOSE_FILE,),
    ) -> None:
        """``environ`` fills in the file's variables; ``port`` is the door's, 0 picks a free one."""
        self.folder = folder
        ours = {name: value for name, value in environ.items() if not _ELSEWHERE.fullmatch(name)}
        self._services = services(files, ours)
        self._port = port or free_port()
        self._mongo = folder / "mongo"
        self.processes: dict[str, list[NativeProcess]] = {}

    @property
    def url(self) -> str:
        """Where clients reach it."""
        return f"http://127.0.0.1:{self._port}"

    def start(self) -> None:
        """Start everything; returns once all of it is ready.

        Raises:
            PartMissing: the broker or the database cannot be had here; the message says why.
            ComposeError: a service did not start; the message names its log.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        for service in self._services.values():
            if "service_completed_successfully" in self._waited_for(service):
                self._run_to_its_end(service)
            elif service.image.partition(":")[0] in _PARTS or service.ours:
                self.processes[service.name] = self._made(service)
        with ThreadPoolExecutor() as threads:
            list(threads.map(self._until_ready, self._started_together()))
        mongo.quicken(self._mongo)
        for process in self.processes["door"]:
            process.start()

    def _started_together(self) -> list[NativeProcess]:
        ours = [name for name, service in self._services.items() if service.ours and name in self.processes]
        started = [process for name in ours for process in self.processes[name]]
        for process in started:
            process.spawn()
        return started

    def stop(self) -> None:
        """Stop everything, in the reverse order of starting."""
        for processes in reversed(self.processes.values()):
            for process in processes:  # in turn: a program that exits has no new threads
                process.stop()

    def addresses(self, name: str) -> list[str]:
        """Host and port of each process of a service."""
        return [process.address for process in self.processes[name]]

    def environment(self, name: str) -> dict[str, str]:
        """What a service, and a command beside it, has in its environment."""
        kept = {key: value for key, value in os.environ.items() if not key.startswith("FUNCLEDGER_")}
        told = {key: self._placed(value) for key, value in self._services[name].environment.items()}
        return kept | told | {"FUNCLEDGER_HOST": "127.0.0.1"}

    def ready(self, process: NativeProcess) -> None:
        """Return once a service answers that it is ready.

        Raises:
            ComposeError: it has ended, or took too long.
        """
        self._until_ready(process)

    def _waited_for(self, service: Service) -> set[str]:
        return {each.needs[service.name] for each in self._services.values() if service.name in each.needs}

    def _made(self, service: Service) -> list[NativeProcess]:
        if service.ours:
            made = [self._process(service, number) for number in range(1, service.replicas + 1)]
        else:
            made = [_PARTS[service.image.partition(":")[0]](self, service)]
        for process in made:
            process.niceness = niceness(service.cpu_shares)
            if not service.ours and service.name != "door":
                process.start()
        return made

    def _process(self, service: Service, number: int) -> NativeProcess:
        port = free_port()
        log = self.folder / f"{service.name}-{number}.log"
        environment = self.environment(service.name) | {"FUNCLEDGER_PORT": str(port)}
        return NativeProcess(_funcledger(service), port, log, environment)

    def _kafka(self, service: Service) -> NativeProcess:
        named = {
            key.removeprefix("KAFKA_").lower().replace("_", "."): value
            for key, value in service.environment.items()
            if key.startswith("KAFKA_")
        }
        settings = {name: value for name, value in named.items() if not _PLACE.fullmatch(name)}
        return kafka.broker(self.folder / service.name, settings)

    def _database(self, _service: Service) -> NativeProcess:
        return mongo.mongo(self._mongo)

    def _registry(self, service: Service) -> NativeProcess:
        return registry.registry(self.folder / service.name)

    def _door(self, service: Service) -> NativeProcess:
        told = {key: self._placed(value) for key, value in service.environment.items()}
        return door(self.folder / "door", self._port, told)

    def _run_to_its_end(self, service: Service) -> None:
        done = subprocess.run(
            _funcledger(service),
            env=self.environment(service.name),
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise ComposeError(f"{service.name} ended with {done.returncode}: {done.stdout}{done.stderr}")

    def _placed(self, value: str) -> str:
        """A setting with the names of services replaced by where they are here."""
        for name, processes in self.processes.items():
            where = " ".join(process.address for process in processes)
            value = re.sub(rf"(?<![\w.-]){re.escape(name)}:\d+", where, value)
        return value

    def _until_ready(self, process: NativeProcess) -> None:
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline and process.running:
            try:
                if (
                    httpx2.get(f"http://{process.address}/readyz", trust_env=False).status_code
                    == httpx2.codes.OK
                ):
                    return
            except httpx2.HTTPError:
                pass  # not listening, or not answering yet
            time.sleep(0.05)
        raise ComposeError(
            f"a service is not ready. It said ({process.log}):\n{process.log.read_text()[-2000:]}"
        )


_PARTS = {
    "apache/kafka": Stack._kafka,
    "mongo": Stack._database,
    "caddy": Stack._door,
    "apicurio/apicurio-registry": Stack._registry,
}


def niceness(shares: int) -> int:
    """The step of nice(2) nearest to a weight; each is a fifth less than the one before (sched(7))."""
    return max(0, min(19, round(math.log(ORDINARY_SHARES / shares, 1.25))))


def _funcledger(service: Service) -> list[str]:
    return [sys.executable, "-m", "funcledger_compose", *service.command]
