"""The stack ``embedded``: ``funcledger up`` with its agent and workers, on the log in its data directory."""

import asyncio
import hashlib
import re
import signal
import subprocess
from collections import defaultdict
from collections.abc import Iterator
from contextlib import aclosing, suppress
from pathlib import Path

import psutil
from tests.chaos.auditor.embedded import records
from tests.chaos.auditor.facts import Raw
from tests.chaos.stack import Rebuilt, Victim
from tests.support.folding import caught_up, projecting
from tests.support.standalone import Standalone, funcledger
from tests.support.stores import dump

from funcledger_endpoint.agent import FENCED_EXIT_CODE
from funcledger_event_log.port import EventLog
from funcledger_event_log.records import TopicPartition
from funcledger_event_log.sqlite import SqliteLog
from funcledger_read_models.documents import TASK_RESULTS, TASK_STATUS, TaskResult, TaskStatus
from funcledger_read_models.port import ReadModelStore
from funcledger_read_models.sqlite import SqliteStore
from funcledger_schemas.envelope import TOPICS
from funcledger_schemas.proof import leaf_hash

_AGENT_ENDED = re.compile(r"agent ended with (-?\d+)")


class Embedded:
    """A ``Stack``."""

    roles = ("server", "agent", "worker")

    def __init__(self, folder: Path) -> None:
        self._server = Standalone(folder / "data", "--workers", "2")
        self._process: subprocess.Popen[bytes] | None = None
        self._elsewhere = str(folder / "elsewhere")
        self._rival: subprocess.Popen[bytes] | None = None
        self._ended: list[str] = []

    @property
    def environment(self) -> dict[str, str]:
        """As the port says."""
        return self._server.environment

    def start(self) -> None:
        """As the port says."""
        self._server.start()
        self._process = self._server.process
        credential = self._server.folder / "endpoints" / "local" / "credential"
        configured = self._server.cli(
            *("endpoint", "configure", "local", "--url", self._server.url, "--workers", "2"),
            FUNCLEDGER_DATA_DIR=self._elsewhere,
            FUNCLEDGER_CREDENTIAL=credential.read_text().strip(),
        )
        assert configured.returncode == 0, configured.stderr

    def tend(self) -> None:
        """As the port says; the server brings its agent back, and that one its workers."""
        assert self._process is not None
        if (code := self._process.poll()) is not None:
            if code != -signal.SIGKILL:
                self._ended.append(f"the server ended with {code}: {self._server.output.read_text()[-500:]}")
            self._process = self._server.spawn()

    def victims(self) -> list[Victim]:
        """As the port says."""
        assert self._process is not None
        found = [Victim("server", psutil.Process(self._process.pid))]
        rival = self._rival.pid if self._rival is not None and self._rival.poll() is None else None
        for pid in (self._server.agent_pid(), rival):
            with suppress(psutil.NoSuchProcess):  # it may end while we look
                found += _agent(pid) if pid is not None else []
        return found

    def usurp(self) -> int | None:
        """As the port says; it ends as fenced once the server has started its own agent again."""
        if self._rival is not None:
            if (code := self._rival.poll()) is None:
                return None
            self._note_agent(code)
        with self._server.output.open("ab") as output:
            self._rival = subprocess.Popen(
                funcledger("endpoint", "start", "local", "--foreground"),
                stdout=output,
                stderr=output,
                env=self._server.environment | {"FUNCLEDGER_DATA_DIR": self._elsewhere},
                start_new_session=True,
            )
        return self._rival.pid

    def _note_agent(self, code: int) -> None:
        if code not in (-signal.SIGKILL, FENCED_EXIT_CODE):
            self._ended.append(f"an agent ended with {code}")

    def endings(self) -> list[str]:
        """As the port says; the end of the server's own agents is told by the server."""
        for code in _AGENT_ENDED.findall(self._server.output.read_text(errors="replace")):
            self._note_agent(int(code))
        return self._ended

    def stop(self) -> None:
        """As the port says."""
        if self._rival is not None:
            self._rival.kill()
            self._rival.wait()
        if (code := self._server.stop()) != 0:
            self._ended.append(f"told to stop, the server ended with {code}")

    def records(self) -> Iterator[Raw]:
        """As the port says."""
        return records(self._server.folder / "log")

    def rebuild(self, folder: Path) -> Rebuilt:
        """As the port says."""
        return asyncio.run(_rebuild(self._server.folder, folder))


def _agent(pid: int) -> list[Victim]:
    agent = psutil.Process(pid)
    return [Victim("agent", agent), *(Victim("worker", each) for each in agent.children())]


async def _rebuild(data: Path, folder: Path) -> Rebuilt:
    log = await SqliteLog.open(data / "log")
    live = await SqliteStore.open(data / "read_models.db")
    fresh = await SqliteStore.open(folder / "rebuilt.db")
    try:
        async with projecting(log, live) as projector:
            await caught_up(projector, 60)
        async with projecting(log, fresh, rebuild=True) as projector:
            await caught_up(projector, 120)
        ours, theirs = await dump(live), await dump(fresh)
        differs = [
            f"{model}: {len(set(ours[model]) ^ set(theirs[model]))} documents"
            for model in ours
            if ours[model] != theirs[model]
        ]
        return Rebuilt(await statuses(fresh), differs, await leaves(log))
    finally:
        await fresh.close()
        await live.close()
        await log.close()


async def statuses(store: ReadModelStore) -> dict[str, tuple[str, int, str | None]]:
    """Every task's status, attempts and kind of failure."""
    tasks = [each for each in await store.find(TASK_STATUS, limit=1_000_000) if isinstance(each, TaskStatus)]
    results = [
        each for each in await store.find(TASK_RESULTS, limit=1_000_000) if isinstance(each, TaskResult)
    ]
    kinds = {each.task_id: each.kind for each in results}
    return {each.task_id: (each.status, each.attempts, kinds.get(each.task_id)) for each in tasks}


async def leaves(log: EventLog) -> dict[str, str]:
    """Per partition that has records, the SHA-256 over their leaf hashes."""
    found: defaultdict[str, hashlib._Hash] = defaultdict(hashlib.sha256)
    for topic in TOPICS:
        for partition, end in (await log.ends(topic)).items():
            if end:
                async with aclosing(log.follow({TopicPartition(topic, partition): 0})) as batches:
                    async for batch in batches:
                        for record in batch:
                            hashed = leaf_hash(record.key, record.headers, record.value)
                            found[f"{topic}/{partition}"].update(hashed)
                        if batch[-1].offset + 1 >= end:
                            break
    return {where: leaf.hexdigest() for where, leaf in found.items()}
