"""The suite's own rules: deadlines are the machine's, tests are spread by file, no process is left behind."""

import subprocess
import sys
import time
from types import SimpleNamespace

import pytest
from tests.support import deadlines, leftovers, minutes, spread
from tests.support.leftovers import gone
from tests.support.poll import until_sync

SLEEPER = [sys.executable, "-c", "import time; time.sleep(60)"]


@pytest.fixture
def three_times_slower(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deadlines, "slowness", lambda: 3.0)
    monkeypatch.delenv("PYTEST_XDIST_WORKER_COUNT", raising=False)


@pytest.mark.usefixtures("three_times_slower")
def test_deadlines_scale_with_the_machine_and_with_what_runs_beside(monkeypatch: pytest.MonkeyPatch) -> None:
    assert deadlines.scaled(2.0) == 6.0
    monkeypatch.setenv("PYTEST_XDIST_WORKER_COUNT", "1")
    assert deadlines.scaled(2.0) == 6.0
    monkeypatch.setenv("PYTEST_XDIST_WORKER_COUNT", "2")
    assert deadlines.scaled(2.0) == 12.0


@pytest.mark.parametrize(("loop", "slowness"), [(0.02, 1.0), (0.1, 1.0), (0.25, 2.5), (30.0, 10.0)])
def test_slowness_is_that_of_the_loop_at_least_1_and_no_more_than_a_slow_machines(
    monkeypatch: pytest.MonkeyPatch, loop: float, slowness: float
) -> None:
    monkeypatch.setattr(deadlines, "_loop", lambda: loop)
    monkeypatch.delenv(deadlines.VARIABLE, raising=False)
    assert deadlines.slowness.__wrapped__() == pytest.approx(slowness)
    monkeypatch.setattr(deadlines, "_loop", lambda: pytest.fail("it is measured once for all processes"))
    assert deadlines.slowness.__wrapped__() == pytest.approx(slowness)


@pytest.mark.usefixtures("three_times_slower")
def test_waiting_for_something_takes_as_long_as_the_machine_needs() -> None:
    begun = time.monotonic()
    with pytest.raises(AssertionError, match=r"not true in 0\.3 s"):
        until_sync(lambda: None, 0.1)
    assert 0.3 <= time.monotonic() - begun < deadlines.scaled(2)


def test_a_tests_own_time_limit_is_scaled(request: pytest.FixtureRequest) -> None:
    usual = float(request.config.getoption("timeout") or request.config.getini("timeout"))
    assert request.node.get_closest_marker("timeout").args == (deadlines.scaled(usual),)


def test_what_a_file_leaves_running_is_ended_and_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leftovers, "_GRACE", 0.05)
    monkeypatch.setenv("TESTS_OF_PROCESS", "this test")
    with subprocess.Popen(SLEEPER) as left:
        with leftovers.staying():
            shared = subprocess.Popen(SLEEPER)
        with gone(shared):
            (told,) = leftovers.ended()
            assert told.startswith(f"{left.pid}: ")
            assert left.wait(deadlines.scaled(10)) == -9
            assert shared.poll() is None
    assert leftovers.ended() == []


def test_a_process_is_gone_with_its_block_also_when_that_fails() -> None:
    process = subprocess.Popen(SLEEPER)
    with pytest.raises(ValueError, match="oh"), gone(process):
        raise ValueError("oh")
    assert process.returncode == -9


def test_minutes_are_told_by_folder_the_longest_first() -> None:
    told = minutes.Minutes()
    for nodeid, when, duration in [
        ("tests/unit/sdk/test_a.py::test_b", "setup", 60.0),
        ("tests/unit/sdk/test_a.py::test_b", "call", 30.0),
        ("tests/unit/test_c.py::test_d[x/y]", "call", 30.0),
        ("tests/faults/test_e.py::test_f", "call", 600.0),
    ]:
        report = SimpleNamespace(nodeid=nodeid, when=when, duration=duration)
        told.pytest_runtest_logreport(report)  # type: ignore[arg-type]
    assert [line.split() for line in told.table()[:3]] == [
        ["tests/faults", "1", "tests", "10.0", "min"],
        ["tests/unit", "2", "tests", "2.0", "min"],
        ["together", "3", "tests", "12.0", "min"],
    ]


@pytest.mark.parametrize(
    ("nodeid", "scope"),
    [
        ("tests/unit/test_a.py::test_b[x@y]", "tests/unit/test_a.py"),
        ("tests/unit/test_a.py::TestC::test_b", "tests/unit/test_a.py"),
        ("tests/scenarios/test_a.py::test_b[distributed-direct]", "services"),
        ("tests/faults/test_a.py::test_b[7-distributed-gateway-x]", "services"),
        ("tests/unit/test_distributed-gateway.py::test_b[1]", "tests/unit/test_distributed-gateway.py"),
    ],
)
def test_files_stay_together_and_so_does_what_shares_the_services(nodeid: str, scope: str) -> None:
    assert spread.scope_of(nodeid) == scope
