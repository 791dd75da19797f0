"""A server process that can be started, waited for, frozen, killed and started again."""

import itertools
import os
import random
import signal
import socket
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path

import psutil

#: Seconds a process left over from a killed run may take to end in good order.
_LEFT_OVER = 15.0
#: Ports below those that systems give to outgoing connections, one of which might take a free one first. In
#: an order of this process's own, so that none is given twice: who asks for several listens on them later.
_PORTS = itertools.cycle(random.sample(range(20_000, 32_000), 12_000))


def free_port() -> int:
    """A port of the loopback interface that nobody listens on just now."""
    return next(filter(_is_free, _PORTS))


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


class NativeProcess:
    """A command, the loopback port it listens on, and the file it logs to."""

    def __init__(
        self, command: list[str], port: int, log: Path, environment: Mapping[str, str] | None = None
    ) -> None:
        """``environment`` in place of this process's own; it may be changed for the next start."""
        self._command = command
        self.environment = environment
        self.port = port
        self.log = log
        #: How far it steps back for others where processors are short: 0 to 19 (nice(2)).
        self.niceness = 0
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        """Host and port, as clients write them."""
        return f"127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        """The running process."""
        assert self._process is not None
        return self._process.pid

    def start(self, patience: float = 60.0) -> None:
        """Start, and return once the port answers.

        Raises:
            RuntimeError: it does not start, or another process has its port.
        """
        self._end_left_over()
        if self._answers():
            raise RuntimeError(
                f"{self.address} is taken by another process. Free it; where clients come in, another port "
                "can be named: FUNCLEDGER_PORT"
            )
        process = self.spawn()
        deadline = time.monotonic() + patience
        while not self._answers():
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(
                    f"{self._command[0]} did not start; it said:\n{self.log.read_text()[-2000:]}"
                )
            time.sleep(0.02)

    def spawn(self) -> "subprocess.Popen[bytes]":
        """Start, and do not wait."""
        self._end_left_over()
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [*(["nice", "-n", str(self.niceness)] if self.niceness else []), *self._command],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self.environment,
                start_new_session=True,
            )
        self._note.write_text(f"{self.pid} {psutil.Process(self.pid).create_time()}")
        if self.niceness:
            self._step_back()
        return self._process

    def _step_back(self) -> None:
        """Where Linux weighs sessions, and not processes (sched(7), autogroup), the session is told."""
        for _ in range(3):
            try:
                Path(f"/proc/{self.pid}/autogroup").write_text(str(self.niceness))
            except BlockingIOError:
                time.sleep(0.11)  # the kernel lets an ordinary user say so ten times a second
            except OSError:
                return  # a system without such groups, or a process that has ended
            else:
                return

    @property
    def _note(self) -> Path:
        return self.log.with_suffix(".pid")

    def _end_left_over(self) -> None:
        """End the process that writes to the same log for somebody who was killed and could not stop it."""
        try:
            pid, created = self._note.read_text().split()
            left = psutil.Process(int(pid))
            if abs(left.create_time() - float(created)) > 1.0:
                return  # the number is somebody else's by now
        except (FileNotFoundError, ValueError, psutil.NoSuchProcess):
            return
        left.terminate()
        deadline = time.monotonic() + _LEFT_OVER
        while left.is_running() and left.status() != psutil.STATUS_ZOMBIE:
            if time.monotonic() > deadline:
                left.kill()
            time.sleep(0.02)
        # Its threads may have the port a moment longer than it has a life.
        while self._answers() and time.monotonic() < deadline:
            time.sleep(0.02)

    def _answers(self) -> bool:
        with socket.socket() as probe:
            probe.settimeout(0.5)
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    @property
    def running(self) -> bool:
        """Whether it is there."""
        return self._process is not None and self._process.poll() is None

    @property
    def exit_code(self) -> int | None:
        """What it ended with; None while it runs, or was never started."""
        return self._process.poll() if self._process is not None else None

    def signal(self, number: signal.Signals) -> None:
        """Send a signal, such as SIGSTOP and SIGCONT."""
        os.kill(self.pid, number)

    def kill(self) -> None:
        """End it at once, as a power cut would."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def stop(self) -> None:
        """End it in good order, or after 15 s by force."""
        if self._process is None or self._process.poll() is not None:
            return
        self._process.terminate()
        try:
            self._process.wait(15)
        except subprocess.TimeoutExpired:
            self.kill()
