"""One run: a stack, a load, a killer, and at the end the auditor."""

import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Thread

from tests.chaos.auditor.case import Case
from tests.chaos.auditor.evidence import Evidence, read_client, read_executions, read_killer
from tests.chaos.auditor.facts import facts_of
from tests.chaos.journal import Journal
from tests.chaos.killer import Killer
from tests.chaos.stack import Stack
from tests.support.deadlines import scaled

from funcledger import Client

#: Seconds that the client may take to see everything end once the killing is over.
_SETTLE = 900.0
#: Of the time a kill may take, how much passes between strikes: some of them only freeze.
_STRIKES = 0.8


@dataclass(frozen=True)
class Plan:
    """At least so many tasks and kills, in at least so many seconds."""

    seed: int
    tasks: int
    kills: int
    seconds: float


def run(plan: Plan, stack: Stack, folder: Path) -> Case:
    """Do it all; what is found wrong is for the auditor to say of the case."""
    killer = Killer(
        stack, random.Random(plan.seed), _STRIKES * plan.seconds / plan.kills, Journal(folder / "killer")
    )
    stack.start()
    try:
        _strike_under_load(plan, stack, killer, folder)
        with _tended(killer):
            stack.settle()
            statuses = _statuses(stack)
    finally:
        stack.stop()
    rebuilt = stack.rebuild(folder)
    strikes, seen = read_killer(folder / "killer")
    evidence = Evidence(
        client=read_client(folder / "client"),
        executions=read_executions(folder / "executions"),
        strikes=strikes,
        processes=seen,
        statuses=statuses,
        rebuilt=rebuilt.statuses,
        rebuild_differs=rebuilt.differs,
        leaves=rebuilt.leaves,
        endings=stack.endings(),
    )
    return Case(list(facts_of(stack.records())), evidence)


def _strike_under_load(plan: Plan, stack: Stack, killer: Killer, folder: Path) -> None:
    given = map(str, (folder, plan.seed, plan.tasks, plan.seconds))
    command = [sys.executable, "-m", "tests.chaos.load", *given]
    begun = time.monotonic()
    with subprocess.Popen(command, stdin=subprocess.PIPE, env=_environment(stack)) as load:
        assert load.stdin is not None
        record = Progress(folder / "client")

        def ahead() -> bool:
            return killer.kills * plan.tasks > record.acknowledged() * plan.kills + plan.tasks

        def enough() -> bool:
            lasted = time.monotonic() - begun >= plan.seconds
            return load.poll() is not None or (
                lasted and killer.kills >= plan.kills and record.acknowledged() >= plan.tasks
            )

        try:
            killer.run(enough, ahead)
            load.stdin.close()
            with _tended(killer):
                code = load.wait(_SETTLE)
        finally:
            load.kill()
    if code != 0:
        raise RuntimeError(f"the load ended with {code}; see its output")


def _environment(stack: Stack) -> dict[str, str]:
    path = [str(Path(__file__).parents[2]), stack.environment.get("PYTHONPATH", "")]
    return stack.environment | {"PYTHONPATH": os.pathsep.join(filter(None, path))}


class Progress:
    """How many tasks the client's record says were acknowledged, read as it grows."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._read = 0
        self._count = 0

    def acknowledged(self) -> int:
        """So far, counting those that an executor has taken over."""
        if not self._path.exists():
            return 0
        with self._path.open("rb") as file:
            file.seek(self._read)
            for line in file:
                if not line.endswith(b"\n"):
                    break
                self._read += len(line)
                if line.startswith((b'{"say": "acknowledged"', b'{"say": "named"')):
                    self._count += len(json.loads(line)["tasks"])
        return self._count


@contextmanager
def _tended(killer: Killer) -> Iterator[None]:
    """Nobody is struck any more; what has ended is still started again."""
    over = Event()

    def tend() -> None:
        while not over.wait(0.1):
            killer.look()

    thread = Thread(target=tend)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _statuses(stack: Stack) -> dict[str, tuple[str, int, str | None]]:
    """What the query side says of every task it knows, once none is pending or the time is over."""
    environment = stack.environment
    url, folder = environment["FUNCLEDGER_URL"], Path(environment["FUNCLEDGER_DATA_DIR"])
    with Client(url, (folder / "token").read_text().strip()) as client:
        ids = [task["task_id"] for task in client.get_tasks(limit=10_000_000)]
        found: dict[str, tuple[str, int, str | None]] = {}
        for start in range(0, len(ids), 2000):
            infos = client.get_batch_result(ids[start : start + 2000], timeout=scaled(60))
            found |= {task: (info["status"], info["attempts"], info["kind"]) for task, info in infos.items()}
        return found
