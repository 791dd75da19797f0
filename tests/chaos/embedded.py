"""The stack ``embedded``: ``funcledger up`` with its agent and workers, on the log in its data directory."""

import asyncio
import re
import signal
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil
from tests.chaos.auditor.embedded import records
from tests.chaos.auditor.facts import Raw
from tests.chaos.rebuilding import rebuilt
from tests.chaos.stack import Rebuilt, Victim
from tests.support.standalone import Standalone, funcledger, projectors_of

from funcledger_endpoint.agent import FENCED_EXIT_CODE
from funcledger_event_log.records import Token
from funcledger_event_log.sqlite import SqliteLog
from funcledger_event_log.sqlite.database import Database
from funcledger_read_models.sqlite import SqliteStore

_AGENT_ENDED = re.compile(r"agent ended with (-?\d+)")


class Embedded:
    """A ``Stack``."""

    roles = ("server", "projector", "agent", "worker")

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
        found += [Victim("projector", each) for each in projectors_of(self._process.pid)]
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

    def settle(self) -> None:
        """As the port says."""
        ends = Database(self._server.folder / "log", ours=False).partitions
        with self._server.client() as client:
            client.transport.seen.merge(
                str(Token({where: each.end for where, each in ends.items() if each.end}))
            )
            client.get_tasks(limit=1)  # answered once the read models have passed all that (law 9)

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
        return await rebuilt(log, live, fresh)
    finally:
        await fresh.close()
        await live.close()
        await log.close()
