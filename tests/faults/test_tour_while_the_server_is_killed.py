"""The tour of the README while its server is killed under it: to the end, with every value right."""

import random
import re
import subprocess
import sys
import time
from pathlib import Path

from tests.support.deadlines import scaled
from tests.support.leftovers import gone
from tests.support.poll import until_sync
from tests.support.standalone import Standalone, standalone

TOUR = Path(__file__).parents[2] / "examples" / "tour.py"
#: How often it is killed, and at least, where the tour is over sooner.
KILLS, LEAST = 4, 2
#: What the tour prints of values, wherever they come from; the rest is figures of this machine.
RIGHT = (
    "squared(7) = 49",
    "8/8 parts of 200,000 points: pi is about 3.14",
    "{'mean': 20.04, 'stdev': 0.23}",
    "caught InstrumentError: there is no channel 9",
    "get_task: status 'failed', pending False, raises nothing",
    "  [0, 1, 4, 9, 16, 25, 36, 49, 64, 81]",
    "4/4 done",
    "map: [0, 1, 4, 9, 16, 25, 36, 49, 64, 81]",
    "5,000 calls of a function that does nothing",
    "2 workers",
)


def test_the_tour_goes_to_its_end_while_the_server_is_killed_under_it(tmp_path: Path) -> None:
    with standalone(tmp_path / "data", "--workers", "2") as server:
        tour = subprocess.Popen(
            [sys.executable, str(TOUR)],
            env=server.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        with gone(tour):
            killed = _kill_under(server, tour)
            said, _ = tour.communicate(timeout=scaled(90))
    assert tour.returncode == 0, said
    assert killed >= LEAST, f"the tour was over after {killed} kills"
    for value in RIGHT:
        assert value in said, said
    assert re.search(r"uname -srm = \w+", said)


def _kill_under(server: Standalone, tour: "subprocess.Popen[str]") -> int:
    """Kill the server a few times while the tour runs, at random moments, and start it again; how often."""
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")
    chance = random.Random(seed)
    for number in range(KILLS):
        moment = time.monotonic() + chance.uniform(0.05, 0.35)
        until_sync(lambda moment=moment: time.monotonic() > moment or tour.poll() is not None, 5)  # type: ignore[misc]
        if tour.poll() is not None:
            return number
        server.kill()
        server.start()
    return KILLS
