"""Scenarios run on every axis, but for what tests/axes.toml leaves out."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from tests.support import axes
from tests.support.endpoint import Endpoint


@pytest.fixture(scope="module", params=axes.PARAMS)
def axis(request: pytest.FixtureRequest) -> str:
    """What this test runs on."""
    return str(request.param)


@pytest.fixture(scope="module")
def running(axis: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[axes.Running]:
    """A deployment with the endpoint ``lab``, and users that no other module has."""
    with axes.running(axis, tmp_path_factory.mktemp("endpoints")) as deployment:
        yield deployment


@pytest.fixture
async def endpoint(axis: str, tmp_path: Path) -> AsyncIterator[Endpoint]:
    """An endpoint of a test's own, without services."""
    async with axes.endpoint_on(axis, tmp_path) as made:
        yield made


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what the list says; tests/unit/test_axes.py keeps the list honest."""
    left_out = axes.left_out()
    gone = []
    for item in items:
        callspec = getattr(item, "callspec", None)
        name = item.nodeid.partition("[")[0]
        if callspec is not None and name in left_out.get(callspec.params.get("axis", ""), ()):
            gone.append(item)
    if gone:
        config.hook.pytest_deselected(items=gone)
        items[:] = [item for item in items if item not in gone]
