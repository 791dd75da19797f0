"""Small histories drawn by Hypothesis or from a seed, and the ways in which a follower may read them.

A history is drawn as bytes and told by :class:`Teller`, which keeps it plausible, so
that drawing and shrinking are cheap.
"""

from random import Random

from hypothesis import strategies as st
from tests.support.teller import Teller

from funcledger_event_log.records import Record

_MOVES = [
    Teller.rest, *[Teller.submit] * 3, Teller.submit_again, Teller.ask_cancel, *[Teller.agent_starts] * 3,
    Teller.agent_stops, Teller.heartbeat, *[Teller.started] * 3, *[Teller.attempt_failed] * 2,
    *[Teller.completed] * 3, Teller.failed, Teller.cancelled, Teller.kept, *[Teller.lied] * 3,
    Teller.administered, Teller.noise, *[Teller.copy] * 2,
]  # fmt: skip


def tell(moves: bytes) -> list[Record]:
    """The records of a history, in the order of appending; three bytes make a move."""
    teller = Teller()
    for move, a, b in zip(moves[::3], moves[1::3], moves[2::3], strict=True):
        _MOVES[move % len(_MOVES)](teller, a, b % 4)
    return teller.records


def histories(least: int = 20, most: int = 60) -> st.SearchStrategy[list[Record]]:
    """Histories of so many moves."""
    sizes = st.integers(least, most)
    return sizes.flatmap(lambda size: st.binary(min_size=3 * size, max_size=3 * size)).map(tell)


def history(seed: int, moves: int) -> list[Record]:
    """The history of a seed, for tests that walk through a single one."""
    return tell(Random(seed).randbytes(3 * moves))


def split(records: list[Record], random: Random) -> list[list[Record]]:
    """The records in batches of arbitrary sizes."""
    batches: list[list[Record]] = [[]]
    for record in records:
        if random.random() < 0.4:
            batches.append([])
        batches[-1].append(record)
    return batches


def interleave(records: list[Record], random: Random) -> list[Record]:
    """The same records with their partitions in some other relative order."""
    queues: dict[tuple[str, int], list[Record]] = {}
    for record in records:
        queues.setdefault((record.topic, record.partition), []).append(record)
    merged = []
    while queues:
        where = random.choice(list(queues))
        # Runs, since a partition that is read far ahead of another is the harder case.
        for _ in range(random.randint(1, 6)):
            merged.append(queues[where].pop(0))
            if not queues[where]:
                del queues[where]
                break
    return merged
