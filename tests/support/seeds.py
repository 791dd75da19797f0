"""Seeds for what is random in a test: printed, and accepted back from ``FUNCLEDGER_SEED``."""

import os
import random


def seeded() -> random.Random:
    """A random generator; to repeat a run, set ``FUNCLEDGER_SEED`` to the number it printed."""
    seed = int(os.environ.get("FUNCLEDGER_SEED") or random.randrange(2**32))
    print(f"FUNCLEDGER_SEED={seed}")
    return random.Random(seed)
