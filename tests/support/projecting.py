"""Folds an embedded log into read models in a process of its own; says when it begins, and what that took.

Arguments: the log's directory, the read models' file.
"""

import asyncio
import json
import sys
import time
from pathlib import Path

import psutil

from funcledger_event_log.sqlite import SqliteLog
from funcledger_projectors.runner import Projector
from funcledger_read_models.sqlite import SqliteStore


async def fold(directory: Path, file: Path) -> dict[str, float]:
    log = await SqliteLog.open(directory)
    store = await SqliteStore.open(file)
    before, begun = resident(), time.process_time()
    peak = before
    projector = Projector(log, store)
    behind = await projector.lag()
    sys.stdout.write("folding\n")
    sys.stdout.flush()
    await projector.start()
    while await projector.lag():
        assert projector.failed is None, projector.failed
        peak = max(peak, resident())
        await asyncio.sleep(0.01)
    await projector.stop()
    await store.close()
    await log.close()
    return {"behind": behind, "before": before, "peak": peak, "cpu": time.process_time() - begun}


def resident() -> float:
    """Resident memory, in MiB."""
    return float(psutil.Process().memory_info().rss) / 2**20


if __name__ == "__main__":
    sys.stdout.write(json.dumps(asyncio.run(fold(*map(Path, sys.argv[1:3])))))
