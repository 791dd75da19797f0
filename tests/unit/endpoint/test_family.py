"""A worker's family is found, weighed and ended: from /proc, and by psutil where there is none."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator

import psutil
import pytest
from tests.support.poll import until_sync

from funcledger_endpoint.local import family
from funcledger_endpoint.local.limits import Limits, memory_asked, memory_in_force

_PARENT = """
import os, subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; x = b'x' * 90_000_000; time.sleep(60)"])
print(child.pid, flush=True)
time.sleep(60)
"""


@pytest.fixture(params=[True, False], ids=["/proc", "psutil"])
def parent(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[int, int]]:
    """A process and its child; both end with the test."""
    if request.param and not family._LINUX:
        pytest.skip("there is no /proc here")
    monkeypatch.setattr(family, "_LINUX", request.param)
    started = subprocess.Popen(
        [sys.executable, "-c", _PARENT], stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    assert started.stdout is not None
    child = int(started.stdout.readline())
    try:
        yield started.pid, child
    finally:
        for pid in (child, started.pid):
            if psutil.pid_exists(pid):
                os.kill(pid, 9)
        started.communicate()


def test_members_are_found_and_weighed(parent: tuple[int, int]) -> None:
    assert family.members([parent[0]]) == list(parent)
    until_sync(lambda: family.weigh([parent[0]], 1).memory > 90_000_000)
    found = family.weigh([parent[0]], 1)
    assert found.processes == 2
    assert 90_000_000 < found.memory < 200_000_000


def test_shares_are_not_added_up_of_more_processes_than_there_may_be(
    parent: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It takes a while, in which a fork bomb would grow."""
    added: list[int] = []

    def share(pid: int) -> int:
        added.append(pid)
        return 1

    monkeypatch.setattr(family, "_share", share)
    assert family.weigh([parent[0]], 1, 1).processes == 2
    assert added == []
    assert family.weigh([parent[0]], 1, 2) == (2, 2)
    assert added == list(parent)


def test_on_an_older_kernel_shares_are_told_without_their_kind(monkeypatch: pytest.MonkeyPatch) -> None:
    new = family.weigh([os.getpid()], 1).memory
    assert new > 5_000_000
    if family._LINUX:
        monkeypatch.setattr(family, "_SHARES", re.compile(rb"^Pss_Unheard: ([0-9]+)$"))
        assert family.weigh([os.getpid()], 1).memory >= new * 0.9


def test_a_family_is_ended_whole(parent: tuple[int, int]) -> None:
    family.kill([parent[0]], parent[0])
    until_sync(lambda: all(psutil.Process(pid).status() == psutil.STATUS_ZOMBIE for pid in parent
                           if psutil.pid_exists(pid)))  # fmt: skip


def test_a_family_that_grows_faster_than_it_is_read_is_not_followed_for_ever(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(family, "children_of", lambda pid: [pid + 1, pid + 2])
    assert 40 < len(family.members([10**8], 40)) < 45
    assert family.weigh([10**8], 1, 40).memory == 0


def test_each_process_is_stopped_before_its_children_are_looked_for(
    parent: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that it cannot have more of them meanwhile; and once more when all have come to rest."""
    done: list[tuple[str, int]] = []
    children_of, to = family.children_of, family._to

    def looking(pid: int) -> list[int]:
        done.append(("looked at rest" if all(map(family._at_rest, parent)) else "looked", pid))
        return children_of(pid)

    def sending(pid: int, number: int) -> None:
        done.append((signal.Signals(number).name, pid))
        to(pid, number)

    monkeypatch.setattr(family, "children_of", looking)
    monkeypatch.setattr(family, "_to", sending)
    family.kill([parent[0]])
    for pid in parent:
        first, *looks, last, killed = [what for what, whom in done if whom == pid]
        assert (first, last, killed) == ("SIGSTOP", "looked at rest", "SIGKILL")
        assert looks
        assert {look.split()[0] for look in looks} == {"looked"}
    assert [whom for what, whom in done if what == "SIGKILL"] == list(reversed(parent))


_HIDING = """
import os, subprocess, sys, time
from funcledger_endpoint.local.strangers import Strangers
strangers = Strangers()
inner = "os.setsid(); os.fork() and os._exit(0); os.fork(); print(os.getpid(), flush=True); time.sleep(60)"
subprocess.Popen([sys.executable, "-c", "import os, time; " + inner], env={}).wait()
sys.stdin.readline()
strangers.end_all()
os._exit(0)
"""


@pytest.mark.attack(29)
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux gives orphans to the agent")
def test_an_agent_that_stops_leaves_no_orphan_behind_not_even_one_that_hides() -> None:
    agent = subprocess.Popen(
        [sys.executable, "-c", _HIDING], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert agent.stdout is not None
    orphans = [int(agent.stdout.readline()) for _ in range(2)]
    assert all(map(psutil.pid_exists, orphans))
    agent.communicate("now")
    until_sync(lambda: not any(map(psutil.pid_exists, orphans)))


def test_what_is_gone_weighs_nothing(parent: tuple[int, int]) -> None:
    gone = subprocess.Popen(["true"])
    gone.wait()
    assert family.weigh([gone.pid], 1) == (0, 0)
    family.kill([gone.pid])


def test_a_tasks_limit_is_read_from_its_resource_specification() -> None:
    assert memory_asked(None) == 0
    assert memory_asked('{"memory_limit": 2000000000}') == 2_000_000_000
    assert memory_asked('{"memory_limit": 5}') == 128_000_000  # less than a worker takes by itself
    for nonsense in (
        "",
        "[]",
        "{}",
        '{"memory_limit": "much"}',
        '{"memory_limit": -5}',
        '{"memory_limit": true}',
    ):
        assert memory_asked(nonsense) == 0


def test_the_lower_limit_is_in_force() -> None:
    assert memory_in_force(Limits(), 0) == (0, "")
    assert memory_in_force(Limits(memory=5), 7)[0] == 5
    assert memory_in_force(Limits(memory=7), 5)[0] == 5
