"""The product's own view of a log once all is stopped: its read models made anew, and its leaf hashes."""

import asyncio
import hashlib
import time
from collections import defaultdict
from contextlib import aclosing

from tests.chaos.stack import Rebuilt
from tests.support.folding import caught_up, projecting
from tests.support.stores import dump

from funcledger_event_log.port import EventLog
from funcledger_event_log.records import TopicPartition
from funcledger_projectors.runner import TOPICS as PROJECTED
from funcledger_read_models.documents import TASK_RESULTS, TASK_STATUS, TaskResult, TaskStatus
from funcledger_read_models.port import ReadModelStore, StoreUnavailable
from funcledger_schemas.envelope import TOPICS
from funcledger_schemas.proof import entry, leaf_hash


async def rebuilt(log: EventLog, live: ReadModelStore, fresh: ReadModelStore) -> Rebuilt:
    """Bring the live store to the log's end, fold the log into the fresh one, and compare the two."""
    async with projecting(log, live) as projector:
        await caught_up(projector, 120)
    async with projecting(log, fresh, rebuild=True) as projector:
        await caught_up(projector, 120)
    ours, theirs = await dump(live), await dump(fresh)
    differs = [
        f"{model}: {len(set(ours[model]) ^ set(theirs[model]))} documents"
        for model in ours
        if ours[model] != theirs[model]
    ]
    return Rebuilt(await statuses(fresh), differs, await leaves(log))


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
                            hashed = leaf_hash(entry(record.key, record.head, record.value))
                            found[f"{topic}/{partition}"].update(hashed)
                        if batch[-1].offset + 1 >= end:
                            break
    return {where: leaf.hexdigest() for where, leaf in found.items()}


async def settled(log: EventLog, store: ReadModelStore, timeout: float) -> None:
    """Return once the store reflects the log as it is now, or after ``timeout`` seconds."""
    deadline = time.monotonic() + timeout
    ends = {(topic, number): end for topic in PROJECTED for number, end in (await log.ends(topic)).items()}
    while time.monotonic() < deadline:
        try:
            positions = await store.positions()
        except StoreUnavailable:
            positions = {}
        if all(positions.get(where, 0) >= end for where, end in ends.items()):
            return
        await asyncio.sleep(0.5)
