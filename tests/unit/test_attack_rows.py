"""Each row of the list of attacks that has been worked off by its mark has a test that carries it."""

import re
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
#: Rows whose tests are found by their mark; those before have the row in the file's name. None is taken out.
OWED = (5, 15, 27, 28, 29, 34, 35, 36, 37, 38, 39, 41)
_MARKED = re.compile(r"mark\.attack\(([\d, ]+)\)")


@pytest.mark.parametrize("row", OWED)
def test_each_owed_row_has_a_test_with_its_mark(row: int) -> None:
    marked = (_MARKED.findall(path.read_text()) for path in TESTS.rglob("test_*.py"))
    assert str(row) in {number.strip() for found in marked for each in found for number in each.split(",")}
