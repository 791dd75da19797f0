"""What holds for every test: deadlines of this machine, a share of its cores, no process left behind."""

from collections.abc import Generator

import pytest
from tests.support import deadlines, leftovers, parts, spread
from tests.support.minutes import Minutes
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling


def pytest_configure(config: pytest.Config) -> None:
    """Measure once, before there are workers beside."""
    deadlines.slowness()
    leftovers.mark()
    if not spread.is_worker(config):
        config.pluginmanager.register(Minutes(), "minutes")


def pytest_report_header(config: pytest.Config) -> str:
    """Say by what deadlines are multiplied."""
    factor = deadlines.factor(spread.workers(config) > 1)
    return (
        f"deadlines: times {factor:.2f}; the machine: {deadlines.slowness():.2f} times a quick one's seconds"
    )


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Scale what pytest-timeout allows, and put what takes long first where tests are spread."""
    usual = float(config.getoption("timeout") or config.getini("timeout"))
    for item in items:
        told = item.get_closest_marker("timeout")
        seconds = told.args[0] if told else usual
        item.add_marker(pytest.mark.timeout(deadlines.scaled(seconds)), append=False)
    if spread.is_worker(config):
        items.sort(key=spread.rank)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadScopeScheduling | None:
    """Spread by file and by group where xdist is told ``--dist loadscope``."""
    return spread.ByScope(config, log) if config.getvalue("dist") == "loadscope" else None


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Have native parts built before a test's time begins."""
    if item.get_closest_marker("distributed"):
        parts.build()
    return (yield)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> Generator[None, None, None]:
    """After each file, end the processes that its tests have left."""
    left: list[str] = []
    try:
        yield
    finally:
        if nextitem is None or nextitem.path != item.path:
            left = leftovers.ended()
    assert not left, f"{item.path.name} has left these processes, which have been ended now: {left}"
