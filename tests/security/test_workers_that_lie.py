"""ATTACKS 36: a task that writes into its worker's shared memory or pipe loses itself, and nothing else."""

from pathlib import Path

import pytest
from tests.support.endpoint import Endpoint

pytestmark = pytest.mark.attack(36)


def lie(how: str, side: str) -> None:
    """Look for what the worker shares with its agent among the open files, and do it harm."""
    import contextlib
    import mmap
    import os
    import struct
    import sys
    import time

    from funcledger_endpoint.local import frames
    from funcledger_endpoint.report import Report

    with open(side, "a") as file:
        file.write("called\n")
    opened = {}
    for name in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):
            opened[int(name)] = os.readlink(f"/proc/self/fd/{name}")
    cell = next(number for number, target in opened.items() if "funcledger-cell" in target)
    pipes = [number for number, target in opened.items() if target.startswith("pipe:") and number > 2]
    if how == "truncate":
        with contextlib.suppress(PermissionError):
            os.ftruncate(cell, 0)
        os.kill(os.getpid(), 9)
    words = mmap.mmap(cell, mmap.PAGESIZE)

    def write(*numbers: int) -> None:
        words[: 8 * len(numbers)] = struct.pack(f"{len(numbers)}q", *numbers)

    if how == "ahead":
        write(2**62, -1)
    elif how == "rewind":
        write(0, 0)
        os.kill(os.getpid(), 9)
    elif how == "noise":
        for number in range(1000):
            write(-number, number * 2**50, -number)
    caller = sys._getframe()
    while not isinstance(
        caller.f_locals.get("call"), frames.Call
    ):  # its worker knows the key of this call, so a task can find it
        assert caller.f_back is not None
        caller = caller.f_back
    key = caller.f_locals["call"].key
    said = {
        "memory": frames.pack_report(1, key, Report(peak_memory=2**63)),
        "kind": frames.pack_report(1, key, Report(kind="Expired")),
        "skip": frames.pack_number(frames.SKIPPED, 1, key),
        "another": frames.pack_report(1, key ^ 1, Report()),
        "ready": frames.pack_number(frames.READY),
        "short": b"\0\0\0\2\3\1",
        "empty": b"\0\0\0\0",
        "garbage": os.urandom(5000),
        "long": b"\xff\xff\xff\xff",
    }.get(how, b"")
    for pipe in pipes:
        with contextlib.suppress(OSError):
            os.write(pipe, said)
    time.sleep(30)


def square(number: int) -> int:
    return number * number


HOW = ["truncate", "ahead", "rewind", "noise", "memory", "kind", "another", "skip", "ready", "short", "empty",
       "garbage", "long"]  # fmt: skip


@pytest.mark.parametrize("how", HOW)
async def test_a_task_that_harms_what_its_worker_shares_is_lost_and_its_neighbours_are_not(
    tmp_path: Path, how: str
) -> None:
    endpoint = await Endpoint.create()
    side = tmp_path / "side"
    neighbours = await endpoint.submit_many(square, range(4))
    liar = await endpoint.submit(lie, how, str(side), max_attempts=2)
    neighbours += await endpoint.submit_many(square, range(4, 8))
    async with endpoint.agent(1) as running:
        outcome = await endpoint.outcome(liar)
        assert [await endpoint.value(task_id) for task_id in neighbours] == [n * n for n in range(8)]
        assert not running.run.done()
    assert (outcome.kind, outcome.attempt) == ("WorkerDied", 2)
    assert len(side.read_text().splitlines()) <= 3, "each attempt is counted, but one that hid its beginning"
