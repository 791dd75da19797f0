"""Law 1: what the embedded log has acknowledged is there after ``kill -9``."""

import signal
import subprocess
import sys
from pathlib import Path

from tests.support.leftovers import gone
from tests.support.seeds import seeded

from funcledger_event_log.records import Position
from funcledger_event_log.sqlite import SqliteLog

#: Appends small and large records from many tasks at once, and prints each position it is told.
_APPENDER = """
import asyncio, sys
from pathlib import Path
from funcledger_event_log.sqlite import SqliteLog
from tests.support.logs import new

async def append(log, life, task):
    for number in range(1_000_000):
        value = f"{life}:{task}:{number}".encode()
        [position] = await log.append([new(value * (10_000 if number % 7 == 0 else 1), task % 3)])
        print(position.partition, position.offset, value.decode(), flush=True)

async def main():
    log = await SqliteLog.open(Path(sys.argv[1]))
    await log.create_topic("tasks", 3)
    await asyncio.gather(*(append(log, sys.argv[2], task) for task in range(10)))

asyncio.run(main())
"""


def _live_and_die(directory: Path, life: int, lines: int) -> dict[Position, bytes]:
    """Run an appender until it has said ``lines`` lines, kill it, and return all that it said."""
    command = [sys.executable, "-c", _APPENDER, str(directory), str(life)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as appender, gone(appender):
        assert appender.stdout is not None
        said = [appender.stdout.readline() for _ in range(lines)]
        appender.send_signal(signal.SIGKILL)
        said += appender.stdout.read().splitlines(keepends=True)
    acknowledged = {}
    for line in said:
        if line.endswith("\n"):  # the last may have been cut off
            partition, offset, value = line.split()
            acknowledged[Position("tasks", int(partition), int(offset))] = value.encode()
    return acknowledged


async def test_law_1_acknowledged_means_durable(tmp_path: Path) -> None:
    """Every acknowledged record of every life is there, at its position, and the log goes on after it."""
    lengths = seeded()
    acknowledged: dict[Position, bytes] = {}
    for life in range(4):
        new = _live_and_die(tmp_path, life, lengths.randrange(1, 400))
        assert not new.keys() & acknowledged.keys()
        acknowledged |= new
    log = await SqliteLog.open(tmp_path)
    found = await log.read(list(acknowledged))
    for value, record in zip(acknowledged.values(), found, strict=True):
        assert record is not None
        assert record.value in (value, value * 10_000)
    await log.close()
