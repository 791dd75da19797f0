"""An endpoint's agent as a process of its own, and now and then one more of it elsewhere."""

import signal
import subprocess
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import psutil
from tests.chaos.stack import Victim
from tests.support.deadlines import scaled
from tests.support.standalone import funcledger

from funcledger_endpoint.agent import FENCED_EXIT_CODE


class Agents:
    """The agent of the endpoint ``local`` that is always started again, and its rival, which is not."""

    def __init__(self, here: Mapping[str, str], elsewhere: Mapping[str, str]) -> None:
        """The environments of the two, each with a data directory of its own."""
        self._here, self._elsewhere = here, elsewhere
        self._agent: subprocess.Popen[bytes] | None = None
        self._rival: subprocess.Popen[bytes] | None = None
        #: Of those that ended by themselves, one sentence each.
        self.endings: list[str] = []

    def tend(self) -> None:
        """Start the agent when there is none."""
        if self._agent is None or self._ended(self._agent):
            self._agent = _started(self._here)

    def usurp(self) -> int | None:
        """Start the rival, unless it is there; its process."""
        if self._rival is not None and not self._ended(self._rival):
            return None
        self._rival = _started(self._elsewhere)
        return self._rival.pid

    def _ended(self, process: "subprocess.Popen[bytes]") -> bool:
        code = process.poll()
        if code not in (None, -signal.SIGKILL, FENCED_EXIT_CODE):
            self.endings.append(f"an agent ended with {code}")
        return code is not None

    def victims(self) -> list[Victim]:
        """Both, with their workers."""
        found = []
        for process in (self._agent, self._rival):
            with suppress(psutil.NoSuchProcess):  # it may end while we look
                if process is not None and process.poll() is None:
                    agent = psutil.Process(process.pid)
                    workers = [Victim("worker", each) for each in agent.children()]
                    found += [Victim("agent", agent), *workers]
        return found

    def stop(self) -> None:
        """End the rival at once, and the agent in good order."""
        if self._rival is not None and not self._ended(self._rival):
            self._rival.kill()
            self._rival.wait()
        if self._agent is not None and not self._ended(self._agent):
            self._agent.terminate()
            if (code := self._agent.wait(scaled(60))) not in (0, FENCED_EXIT_CODE):
                self.endings.append(f"told to stop, an agent ended with {code}")


def _started(environment: Mapping[str, str]) -> "subprocess.Popen[bytes]":
    with (Path(environment["FUNCLEDGER_DATA_DIR"]) / "agent.log").open("ab") as log:
        return subprocess.Popen(
            funcledger("endpoint", "run", "local"),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env=dict(environment),
            start_new_session=True,
        )
