"""The stack ``embedded``: ``funcledger up`` with its agent and workers, on the log in its data directory."""

import asyncio
import hashlib
import re
import signal
import subprocess
from collections import defaultdict
from collections.abc import Iterator
from contextlib import aclosing
from pathlib import Path

import psutil
from tests.chaos.auditor.embedded import records
from tests.chaos.auditor.facts import Raw
from tests.chaos.stack import Rebuilt, Victim
from tests.support.folding import caught_up, projecting
from tests.support.standalone import Standalone
from tests.support.stores import dump

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
        self._ended: list[str] = []

    @property
    def environment(self) -> dict[str, str]:
        """As the port says."""
        return self._server.environment

    def start(self) -> None:
        """As the port says."""
        self._server.start()
        self._process = self._server.process

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
        if (pid := self._server.agent_pid()) is None:
            return found
        try:
            agent = psutil.Process(pid)
            found += [Victim("worker", each) for each in agent.children()]
            found.append(Victim("agent", agent))
        except psutil.NoSuchProcess:
            pass  # it ended while we looked
        return found

    def endings(self) -> list[str]:
        """As the port says; an agent's end is told by the server that started it."""
        said = self._server.output.read_text(errors="replace")
        agents = [f"an agent ended with {code}" for code in _AGENT_ENDED.findall(said) if code != "-9"]
        return self._ended + agents

    def stop(self) -> None:
        """As the port says."""
        if (code := self._server.stop()) != 0:
            self._ended.append(f"told to stop, the server ended with {code}")

    def records(self) -> Iterator[Raw]:
        """As the port says."""
        return records(self._server.folder / "log")

    def rebuild(self, folder: Path) -> Rebuilt:
        """As the port says."""
        return asyncio.run(_rebuild(self._server.folder, folder))


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
