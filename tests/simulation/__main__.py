"""``python -m tests.simulation``: ``--seed N`` tells of one run, ``--seeds A:B`` makes many."""

import argparse
import sys
import time
from contextlib import nullcontext

from tests.simulation.bugs import BUGS
from tests.simulation.world import quietly, run


def main() -> int:
    """Exit code 1 when something was violated."""
    options = _options()
    plant = BUGS[options.bug] if options.bug else nullcontext
    with quietly(), plant():
        return _one(options.seed) if options.seed is not None else _many(*options.seeds)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("--seed", type=int, help="replay this one and print what happened")
    which.add_argument("--seeds", type=_range, metavar="A:B", help="run these, from A to B - 1")
    parser.add_argument("--bug", choices=sorted(BUGS), help="with this bug planted")
    return parser.parse_args()


def _range(text: str) -> tuple[int, int]:
    first, _, end = text.partition(":")
    try:
        return int(first), int(end)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no range: write A:B, such as 0:5000") from None


def _one(seed: int) -> int:
    found = run(seed, lambda at, who, what: print(f"{at:8.3f} s  {who:<14} {what}"))
    print("\n".join(found) or "every law holds")
    return 1 if found else 0


def _many(first: int, end: int) -> int:
    begun, bad = time.process_time(), 0
    for seed in range(first, end):
        if found := run(seed):
            bad += 1
            print(f"seed {seed}: {'; '.join(found)}", flush=True)
    taken = time.process_time() - begun
    count = end - first
    print(f"{count} seeds, {bad} with violations; {count / taken * 60:,.0f} seeds a minute of processor time")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
