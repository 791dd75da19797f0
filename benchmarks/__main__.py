"""``make bench``: measure, print the table, write ``benchmarks/latest.json`` (or ``latest-kafka.json``)."""

import argparse
import json
import os
import platform
from pathlib import Path
from typing import Any

from benchmarks import embedded, measures, on_kafka
from benchmarks.server import WORKERS

_HERE = Path(__file__).parent
_PROFILES: dict[str, Any] = {"embedded": embedded, "kafka": on_kafka}
_LATEST = {"embedded": _HERE / "latest.json", "kafka": _HERE / "latest-kafka.json"}


def main() -> None:
    """Run, print and write."""
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--profile", choices=_PROFILES, default="embedded")
    parser.add_argument("--rounds", type=int, default=3, help=f"paired rounds of {measures.NOOPS} no-ops")
    parser.add_argument("--brief", action="store_true", help="leave out what takes minutes; write nothing")
    asked = parser.parse_args()
    profile = _PROFILES[asked.profile]
    figures = profile.measure(asked.rounds, brief=asked.brief)
    machine = {"cores": os.cpu_count(), "platform": platform.platform(), "python": platform.python_version()}
    print(f"\n{asked.profile}: {machine['cores']} cores, {WORKERS} workers, Python {machine['python']}\n")
    print(f"  {'':<62}{'measured':>12}{'target':>10}")
    for name, (title, target) in profile.TITLES.items():
        if name in figures:
            print(f"  {title:<62}{figures[name]:>12,.2f}{target:>10}")
    if not asked.brief:
        rounded = {name: round(figures[name], 3) for name in profile.TITLES}
        latest = _LATEST[asked.profile]
        latest.write_text(json.dumps({**rounded, "machine": machine}, indent=2) + "\n")
        print(f"\nWritten to benchmarks/{latest.name}")


if __name__ == "__main__":
    main()
