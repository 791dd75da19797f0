"""``python -m benchmarks.against CHECKOUT``: this checkout and another measured in turn, and their ratio.

Machines differ by a factor of three and one machine by a fifth within an hour, so only what was measured in
turn can be compared. Each round runs the brief figures of both, one after the other.
"""

import argparse
import os
import re
import statistics
import subprocess
from pathlib import Path

from benchmarks.embedded import TITLES

_HERE = Path(__file__).parents[1]
#: Figures of which less is better.
_COSTS = ("_s", "_ms")
_RATES = ("per_s",)


def measured(checkout: Path) -> dict[str, float]:
    """One brief round in a checkout that has its environment in ``.venv``.

    Raises:
        CalledProcessError: it could not be measured.
    """
    command = [str(checkout / ".venv/bin/python"), "-m", "benchmarks", "--brief", "--rounds", "1"]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    printed = subprocess.check_output(command, cwd=checkout, env=environment, text=True)
    found = {}
    for name, (title, _) in TITLES.items():
        if line := re.search(rf"^\s*{re.escape(title)}\s+([\d,.]+)", printed, re.MULTILINE):
            found[name] = float(line[1].replace(",", ""))
    return found


def better(name: str, ours: float, theirs: float) -> float:
    """How many times as good ours is: more per second, or fewer seconds."""
    costs = name.endswith(_COSTS) and not name.endswith(_RATES)
    return theirs / ours if costs else ours / theirs


def main() -> None:
    """Measure in turn, print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkout", type=Path, help="another checkout, whose `make bench` has run once")
    parser.add_argument("--rounds", type=int, default=7)
    asked = parser.parse_args()
    ours: list[dict[str, float]] = []
    theirs: list[dict[str, float]] = []
    for number in range(asked.rounds):
        # The first of a round alternates, since a machine that warms up favours the second.
        for checkout, found in ((_HERE, ours), (asked.checkout.resolve(), theirs))[
            :: 1 if number % 2 else -1
        ]:
            found.append(measured(checkout))
        print(f"round {number + 1} of {asked.rounds} done", flush=True)
    print(f"\n  {'':<62}{'here':>12}{'there':>12}{'here/there':>12}")
    for name, (title, _) in TITLES.items():
        if name not in ours[0] or name not in theirs[0]:
            continue
        here, there = (statistics.median(each[name] for each in found) for found in (ours, theirs))
        pairs = [better(name, one[name], other[name]) for one, other in zip(ours, theirs, strict=True)]
        print(f"  {title:<62}{here:>12,.2f}{there:>12,.2f}{statistics.median(pairs):>12.3f}")
    print("\nThe last column is the median of the rounds' ratios; above 1 is better here, also of times.")


if __name__ == "__main__":
    main()
