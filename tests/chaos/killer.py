"""Strikes processes at random: SIGKILL, or SIGSTOP and later SIGCONT, by a seeded generator."""

import os
import random
import signal
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import psutil
from tests.chaos.journal import Journal
from tests.chaos.stack import Stack, Victim

#: How often a strike only freezes its victim, and how often it takes another one along.
_FREEZES, _PAIRS = 0.25, 0.15
#: How often an agent is superseded by one more, and how often the present one is frozen meanwhile.
_RIVALS, _ASLEEP = 0.06, 0.5
#: Seconds between looks at who is there.
_LOOK = 0.1


class Killer:
    """Strikes ``kills`` times in about ``seconds``, and keeps a record of whom and when."""

    def __init__(self, stack: Stack, chance: random.Random, pace: float, journal: Journal) -> None:
        """``pace``: seconds between strikes, in the mean."""
        self._stack, self._chance, self._pace, self._journal = stack, chance, pace, journal
        self._seen: set[tuple[int, float]] = set()
        self._frozen: list[tuple[float, Victim]] = []
        #: Strikes by signal and role.
        self.count: Counter[tuple[str, str]] = Counter()

    @property
    def kills(self) -> int:
        """SIGKILLs so far."""
        return sum(count for (sent, _), count in self.count.items() if sent == "SIGKILL")

    def run(self, enough: Callable[[], bool], ahead: Callable[[], bool]) -> None:
        """Strike until there was enough, then let everything frozen go on.

        ``ahead``: the work is behind, as on a busy machine; it is let catch up.
        """
        next_strike = time.monotonic()
        try:
            while not enough():
                self.look()
                if time.monotonic() >= next_strike and not ahead():
                    self._strike()
                    pause = self._chance.expovariate(1 / self._pace)
                    next_strike = time.monotonic() + min(max(pause, 0.05), 4 * self._pace)
                time.sleep(_LOOK)
        finally:
            self._thaw(float("inf"))

    def look(self) -> None:
        """Start again what has ended, let go on what has been frozen long enough, and note who is there."""
        self._stack.tend()
        self._thaw(time.monotonic())
        for role, process in self._stack.victims():
            with suppress(psutil.NoSuchProcess):
                created = process.create_time()
                if (process.pid, created) not in self._seen:
                    self._journal.write(
                        "seen", role=role, pid=process.pid, parent=process.ppid(), created=_created(process)
                    )
                    self._seen.add((process.pid, created))

    def _strike(self) -> None:
        """One victim, of every role as often as of any other; sometimes two, or a rival instead."""
        victims = self._stack.victims()
        if self._chance.random() < _RIVALS:
            self._usurp([victim for victim in victims if victim.role == "agent"])
            return
        roles = sorted({victim.role for victim in victims})
        for role in self._chance.sample(roles, min(len(roles), 1 + (self._chance.random() < _PAIRS))):
            victim = self._chance.choice([each for each in victims if each.role == role])
            if self._chance.random() < _FREEZES:
                self._freeze(victim)
            else:
                self._send(signal.SIGKILL, victim)

    def _usurp(self, agents: list[Victim]) -> None:
        if agents and self._chance.random() < _ASLEEP:
            self._freeze(agents[0])
        if (pid := self._stack.usurp()) is not None:
            self._journal.write("struck", at=time.time_ns(), signal="RIVAL", role="agent", pid=pid)
            self.count["RIVAL", "agent"] += 1

    def _freeze(self, victim: Victim) -> None:
        """For an instant or for seconds, now and then for so long that the others give it up."""
        seconds = 20.0 if self._chance.random() < 0.06 else 10 ** self._chance.uniform(-1.3, 0.9)
        if self._send(signal.SIGSTOP, victim):
            self._frozen.append((time.monotonic() + seconds, victim))

    def _thaw(self, now: float) -> None:
        for due, victim in self._frozen:
            if due <= now:
                self._send(signal.SIGCONT, victim)
        self._frozen = [(due, victim) for due, victim in self._frozen if due > now]

    def _send(self, number: signal.Signals, victim: Victim) -> bool:
        """Whether it was there to be struck."""
        role, process = victim
        try:
            if process.status() == psutil.STATUS_ZOMBIE:
                return False
            process.send_signal(number)
        except psutil.NoSuchProcess:
            return False
        self._journal.write("struck", at=time.time_ns(), signal=number.name, role=role, pid=process.pid)
        self.count[number.name, role] += 1
        return True


def _created(process: psutil.Process) -> int:
    """When it was created, in ns since 1970; psutil counts from a boot time rounded to seconds."""
    if not hasattr(time, "CLOCK_BOOTTIME"):
        return int(process.create_time() * 1e9)
    try:
        fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        raise psutil.NoSuchProcess(process.pid) from None
    ticks = int(fields[19])  # the 22nd of all, as proc(5) counts
    age = time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK")
    return time.time_ns() - int(age * 1e9)
