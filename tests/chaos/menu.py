"""What the load orders: calls of every sort in their proportions, each with the outcome it ought to have."""

import random
from dataclasses import dataclass
from itertools import count
from typing import Any

from tests.chaos.auditor.evidence import Call, shown

#: How many of a thousand calls are of this sort.
_PROPORTIONS = {
    "double": 529, "nap": 290, "complain": 100, "reverse": 20, "cancelled": 20, "die": 10, "soil": 30,
    "fell": 1,
}  # fmt: skip


@dataclass(frozen=True)
class Order:
    """A call to be made: which function, its arguments after token and side file, and what is meant by it."""

    function: str
    arguments: tuple[Any, ...]
    call: Call


class Menu:
    """Orders at random, each with a token of its own."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self._tokens = count(1)

    def order(self, max_attempts: int) -> Order:
        """One call."""
        sort = self._chance.choices(list(_PROPORTIONS), list(_PROPORTIONS.values()))[0]
        token = next(self._tokens)
        function, arguments, kind, expect = getattr(self, f"_{sort}")(token)
        return Order(function, arguments, Call(token, kind, expect, max_attempts))

    def overrun(self, max_attempts: int) -> Order:
        """A call that takes longer than its walltime."""
        call = Call(next(self._tokens), "overruns", "WalltimeExceeded", max_attempts)
        return Order("nap", (60.0,), call)

    def _double(self, token: int) -> tuple[Any, ...]:
        return "double", (), "value", shown(2 * token)

    def _nap(self, token: int) -> tuple[Any, ...]:
        return "nap", (self._chance.uniform(0.002, 0.08),), "value", shown(2 * token)

    def _complain(self, token: int) -> tuple[Any, ...]:
        return "complain", (), "raises", f"ValueError: call {token} does not like it here"

    def _reverse(self, token: int) -> tuple[Any, ...]:
        data = self._chance.randbytes(self._chance.randrange(50_000, 200_000))
        return "reverse", (data,), "value", shown(data[::-1])

    def _cancelled(self, token: int) -> tuple[Any, ...]:
        return "nap", (self._chance.uniform(0.2, 1.0),), "cancel", shown(2 * token)

    def _die(self, token: int) -> tuple[Any, ...]:
        return "die", (self._chance.randrange(4),), "dies", "WorkerDied"

    def _soil(self, token: int) -> tuple[Any, ...]:
        return "soil", (self._chance.randrange(8),), "value", shown(2 * token)

    def _fell(self, token: int) -> tuple[Any, ...]:
        return "fell", (), "fells", "TaskLost"
