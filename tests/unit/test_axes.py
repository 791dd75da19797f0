"""Every scenario runs on every axis, or ``tests/axes.toml`` says why it does not; the list does not grow."""

import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import pytest
from tests.support.axes import AXES, EMBEDDED, left_out

#: How many tests, or whole modules, leave each axis out. A new one is a decision: change it here as well.
COUNTS = {"embedded": 1, "distributed-gateway": 6, "distributed-direct": 7}


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


def test_what_leaves_an_axis_out_is_listed_and_nothing_else(scenarios: dict[str, set[str]]) -> None:
    listed = left_out()
    for axis in AXES:
        missing = {name for name, axes in scenarios.items() if axis not in axes}
        entries = listed.get(axis, {})
        covered = {name for name in missing if name in entries or name.partition("::")[0] in entries}
        assert missing == covered, "list these in tests/axes.toml with the reason, or let them take `axis`"
        about_nothing = {
            entry
            for entry in entries
            if not any(name == entry or name.startswith(f"{entry}::") for name in missing)
        }
        assert not about_nothing, "these run on the axis, or are not there any more"


def test_the_list_does_not_grow_silently_and_gives_reasons() -> None:
    listed = left_out()
    assert {axis: len(entries) for axis, entries in listed.items()} == COUNTS
    for entries in listed.values():
        assert all(len(reason.split()) >= 5 for reason in entries.values())
