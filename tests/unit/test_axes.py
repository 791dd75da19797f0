"""Every scenario runs on every axis, or ``tests/axes.toml`` names it and says why it does not."""

import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import pytest
from tests.support.axes import AXES, EMBEDDED, left_out


@pytest.fixture(scope="module")
def scenarios() -> dict[str, set[str]]:
    """Per test of tests/scenarios, the axes it runs on."""
    root = Path(__file__).parents[2]
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-m", "", "tests/scenarios"]
    listed = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True).stdout
    found: dict[str, set[str]] = defaultdict(set)
    for line in listed.splitlines():
        if "::" in line:
            name, _, parameters = line.partition("[")
            found[name].add(next((axis for axis in AXES if axis in parameters), EMBEDDED))
    assert len(found) > 50
    return found


@pytest.mark.parametrize("axis", AXES)
def test_each_test_that_leaves_an_axis_out_is_named_and_no_other(
    scenarios: dict[str, set[str]], axis: str
) -> None:
    missing = {name for name, axes in scenarios.items() if axis not in axes}
    named = left_out()[axis].keys()
    unnamed, about_nothing = sorted(missing - named), sorted(named - missing)
    assert not unnamed, "name these in tests/axes.toml with the reason, or let them take `axis`"
    assert not about_nothing, "these run on the axis, or are not there any more"


def test_each_reason_says_something() -> None:
    for reasons in left_out().values():
        assert all(len(reason.split()) >= 5 for reason in reasons.values())
