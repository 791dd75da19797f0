"""How many records make a batch: as many as the store takes within a second or two.

A store that is slow, or is busy with somebody else's work, would answer a large batch only after its
commands have been given up, so it would be sent the same again for ever; and until it had answered, its
read models would be as old as that. A fast store gets large batches, which cost less a record.
"""

#: Seconds that looking up and saving a batch should take.
SECONDS = 2.0
#: Records of the first batch.
FIRST = 1_000
#: Being slow alone makes no batch smaller than this: then it is not the records that take the time, but
#: somebody else's lock, or acknowledgements from far away.
LEAST = 250
#: By how much a batch that came back in good time lets the next be larger, and one that did not, smaller.
_GROWTH, _RETREAT = 2, 8


class Pace:
    """Learns from each batch; says how many records the next may have, in :attr:`records`."""

    def __init__(self) -> None:
        self.records = FIRST

    def took(self, records: int, seconds: float) -> None:
        """The store has taken a batch of so many records in this time."""
        fit = max(LEAST, int(records * SECONDS / max(seconds, 1e-6)))
        if seconds > SECONDS:
            self.records = min(self.records, fit)
        elif records >= self.records:
            self.records = min(_GROWTH * self.records, fit)

    def failed(self, records: int) -> None:
        """The store has not taken a batch of so many records; it may have been too much."""
        self.records = max(1, min(self.records, records) // _RETREAT)
