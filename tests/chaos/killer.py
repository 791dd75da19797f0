"""Strikes processes at random: SIGKILL, or SIGSTOP and later SIGCONT, by a seeded generator."""

import random
import signal
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress

import psutil
from tests.chaos.journal import Journal
from tests.chaos.stack import Stack, Victim

#: How often a strike only freezes its victim, and how often it takes another one along.
_FREEZES, _PAIRS = 0.25, 0.15
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

    def run(self, enough: Callable[[], bool]) -> None:
        """Strike until there was enough, then let everything frozen go on."""
        next_strike = time.monotonic()
        try:
            while not enough():
                self.look()
                if time.monotonic() >= next_strike:
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
                        "seen", role=role, pid=process.pid, parent=process.ppid(), created=int(created * 1e9)
                    )
                    self._seen.add((process.pid, created))

    def _strike(self) -> None:
        """One victim, of every role as often as of any other; sometimes two."""
        victims = self._stack.victims()
        roles = sorted({victim.role for victim in victims})
        for role in self._chance.sample(roles, min(len(roles), 1 + (self._chance.random() < _PAIRS))):
            victim = self._chance.choice([each for each in victims if each.role == role])
            if self._chance.random() < _FREEZES:
                self._freeze(victim)
            else:
                self._send(signal.SIGKILL, victim)

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
