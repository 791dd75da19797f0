"""The command: ``python -m tests.chaos --seed 1 --tasks 20000 --kills 200 --profile embedded``."""

import argparse
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from tests.chaos.auditor.checks import findings
from tests.chaos.distributed import Distributed
from tests.chaos.embedded import Embedded
from tests.chaos.report import report
from tests.chaos.run import Plan, run
from tests.chaos.stack import Stack

PROFILES: dict[str, Callable[[Path], Stack]] = {
    "embedded": Embedded,
    "distributed": Distributed,
    "distributed-direct": partial(Distributed, direct=True),
}


def main() -> int:
    """Run and report; 1 when anything was found, and then everything is kept to be looked at."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--seed", type=int, default=random.randrange(2**32), help="repeat a run's choices")
    parser.add_argument("--tasks", type=int, default=20_000, help="at least so many (%(default)s)")
    parser.add_argument("--kills", type=int, default=200, help="at least so many SIGKILLs (%(default)s)")
    parser.add_argument(
        "--seconds", type=float, default=660, help="spread over so many seconds (%(default)s)"
    )
    parser.add_argument("--profile", choices=sorted(PROFILES), default="embedded", help="what to run on")
    parser.add_argument("--keep", type=Path, help="a folder for log and records; else kept only when needed")
    given = parser.parse_args()
    folder = given.keep or Path(tempfile.mkdtemp(prefix="funcledger-chaos-"))
    folder.mkdir(parents=True, exist_ok=True)
    print(f"Seed {given.seed}; log and records are in {folder}", flush=True)
    plan = Plan(given.seed, given.tasks, given.kills, given.seconds)
    begun = time.monotonic()
    case = run(plan, PROFILES[given.profile](folder), folder)
    minutes = (time.monotonic() - begun) / 60
    print(report(case, f"{given.profile}, seed {given.seed}, {minutes:.1f} minutes"))
    if findings(case):
        print(f"\nKept: {folder}. Again with: python -m tests.chaos --seed {given.seed}")
        return 1
    if given.keep is None:
        shutil.rmtree(folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
