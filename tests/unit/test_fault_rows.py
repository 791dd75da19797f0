"""Each row owed of the list of faults has tests named for it, and the page that says so says so truly.

A row is found by name, ``test_row08_...`` in ``tests/faults``, or by the mark ``fault(37)`` in any file of
tests. What a test is named for may be several rows.
Whether a test is about services apart, on Kafka and MongoDB, is told by its mark ``distributed``.
"""

import re
import subprocess
import sys
from collections import defaultdict
from functools import cache
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
PAGE = TESTS.parent / "docs" / "reliability.md"
EMBEDDED, DISTRIBUTED = "not distributed", "distributed"
#: Rows owed on the embedded log, and on Kafka and MongoDB. A row is never taken out of here.
OWED = {
    EMBEDDED: (*range(1, 6), *range(8, 13), *range(16, 22), 23, 24, *range(28, 38), 39),
    DISTRIBUTED: (*range(1, 8), *range(12, 16), *range(18, 22), *range(23, 27), *range(29, 34), 35, 36),
}
_ROWS = re.compile(r"_rows?((?:_?\d+)+)(?=_)|Row(\d\d)(?=[A-Z])")
_NUMBER = re.compile(r"\d+")
_MARKED = re.compile(r"mark\.fault\(([\d, ]+)\)")
each_axis = pytest.mark.parametrize("axis", [EMBEDDED, DISTRIBUTED])


@cache
def rows_tested(axis: str) -> dict[int, set[str]]:
    """Per row, the files that hold a test named for it on this axis."""
    marked: dict[str, set[str]] = {}
    for path in TESTS.rglob("test_*.py"):
        if numbers := _NUMBER.findall(" ".join(_MARKED.findall(path.read_text()))):
            marked[str(path.relative_to(TESTS.parent))] = set(numbers)
    elsewhere = [file for file in marked if not file.startswith("tests/faults/")]
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-m", axis, "tests/faults", *elsewhere]
    listed = subprocess.run(command, cwd=TESTS.parent, capture_output=True, text=True, check=True).stdout
    found: dict[int, set[str]] = defaultdict(set)
    for file, name in set(re.findall(r"(?m)^(tests/[\w/]+\.py)::(\w+)", listed)):
        rows = marked.get(file, set())
        if file.startswith("tests/faults/"):
            rows = rows | {row for match in _ROWS.findall(name) for row in _NUMBER.findall("".join(match))}
        for row in rows:
            found[int(row)].add(Path(file).name)
    return found


def rows_listed(axis: str) -> dict[int, set[str]]:
    """The page's table: row and files of this axis."""
    rows = re.findall(r"(?m)^\| (\d+) \|.*\|([^|]*)\|([^|]*)\|$", PAGE.read_text())
    files = {int(row): cells[axis == DISTRIBUTED] for row, *cells in rows}
    return {row: set(re.findall(r"`(test_\w+\.py)`", cell)) for row, cell in files.items()}


@each_axis
def test_each_owed_row_has_a_test_named_for_it(axis: str) -> None:
    tested = rows_tested(axis)
    assert [row for row in OWED[axis] if not tested.get(row)] == []


@each_axis
def test_the_page_names_for_each_owed_row_files_that_hold_a_test_of_it(axis: str) -> None:
    tested, listed = rows_tested(axis), rows_listed(axis)
    wrong = {row: files - tested.get(row, set()) for row, files in listed.items()}
    assert {row: files for row, files in wrong.items() if files} == {}
    assert [row for row in OWED[axis] if not listed.get(row)] == []
