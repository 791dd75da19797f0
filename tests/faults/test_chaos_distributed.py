"""FAULTS 1 to 3, 5, 8, 10, 11, 13, 15, 23 to 25 and 29 at random: short ``make chaos`` on services apart."""

from pathlib import Path

import pytest
from tests.chaos.auditor.checks import findings
from tests.chaos.distributed import Distributed
from tests.chaos.report import report
from tests.chaos.run import Plan, run
from tests.support import parts
from tests.support.axes import DIRECT, GATEWAY
from tests.support.seeds import seeded


@pytest.mark.distributed
@pytest.mark.timeout(600)
def test_whatever_is_killed_nothing_acknowledged_is_lost_and_nothing_ends_twice(tmp_path: Path) -> None:
    """With an endpoint that comes through the gateways, or reads its partition itself, by the seed."""
    random = seeded()
    plan = Plan(random.randrange(2**32), tasks=1000, kills=15, seconds=60)
    axis = random.choice((GATEWAY, DIRECT))
    stack = Distributed(tmp_path, direct=axis == DIRECT)
    case = parts.had("the distributed services", lambda: run(plan, stack, tmp_path))
    print(report(case, f"{axis}, {plan}"))
    assert findings(case) == {}
