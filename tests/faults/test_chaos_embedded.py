"""FAULTS 1, 2, 5, 8, 10, 11, 23, 24, 29 and 34 at random: a minute of ``make chaos`` on the embedded log."""

from pathlib import Path

import pytest
from tests.chaos.auditor.checks import findings
from tests.chaos.embedded import Embedded
from tests.chaos.report import report
from tests.chaos.run import Plan, run
from tests.support.seeds import seeded


@pytest.mark.timeout(600)
def test_whatever_is_killed_nothing_acknowledged_is_lost_and_nothing_ends_twice(tmp_path: Path) -> None:
    plan = Plan(seeded().randrange(2**32), tasks=1000, kills=15, seconds=60)
    case = run(plan, Embedded(tmp_path), tmp_path)
    print(report(case, f"embedded, {plan}"))
    assert findings(case) == {}
