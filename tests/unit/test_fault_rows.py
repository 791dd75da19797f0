"""Each row owed of the list of faults has a test named for it, and the page that says so says so truly.

A row is found by name: ``test_row08_...`` in ``tests/faults``. What a test is named for may be several rows.
"""

import ast
import re
from collections import defaultdict
from pathlib import Path

TESTS = Path(__file__).parents[1]
PAGE = TESTS.parent / "docs" / "reliability.md"
#: Rows owed on the embedded log. A row is never taken out of here.
OWED = (1, 2, 3, 4, 5, 8, 9, 10, 11, 12, 16, 17, 18, 19, 20, 21, 23, 24, 28, 29, 30)
_ROW = re.compile(r"_row(\d\d)(?=_)|Row(\d\d)(?=[A-Z])")


def rows_tested() -> dict[int, set[str]]:
    """Per row, the files that hold a test named for it."""
    found: dict[int, set[str]] = defaultdict(set)
    for file in sorted((TESTS / "faults").glob("test_*.py")):
        for name in _tests(ast.parse(file.read_text())):
            for match in _ROW.findall(name):
                found[int(match[0] or match[1])].add(file.name)
    return found


def _tests(module: ast.Module) -> list[str]:
    """The names of tests: functions, and the classes that Hypothesis makes of state machines."""
    functions = [
        each.name for each in module.body if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef)
    ]
    assigned = [each.targets[0] for each in module.body if isinstance(each, ast.Assign)]
    names = [*functions, *(each.id for each in assigned if isinstance(each, ast.Name))]
    return [name for name in names if name.startswith(("test_", "Test"))]


def rows_listed() -> dict[int, set[str]]:
    """The page's table: row and files."""
    rows = re.findall(r"(?m)^\| (\d+) \|.*\|([^|]*)\|$", PAGE.read_text())
    return {int(row): set(re.findall(r"`(test_\w+\.py)`", files)) for row, files in rows}


def test_each_owed_row_has_a_test_named_for_it() -> None:
    tested = rows_tested()
    assert [row for row in OWED if not tested[row]] == []


def test_the_page_names_for_each_owed_row_files_that_hold_a_test_of_it() -> None:
    tested, listed = rows_tested(), rows_listed()
    assert [row for row in OWED if row not in listed] == []
    assert {row: files - tested[row] for row, files in listed.items() if files - tested[row]} == {}
    assert [row for row in OWED if not listed[row]] == []
