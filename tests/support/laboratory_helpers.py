"""A module beside a scientist's script: installed nowhere, and imported by it."""
# mypy: ignore-errors

import enum
import functools
import logging
import threading
from dataclasses import dataclass, field

SCALE = 10
log = logging.getLogger(__name__)
#: Nothing that travels uses it, so it stays where it is.
guard = threading.Lock()


class Unit(enum.Enum):
    MM = 1
    CM = 10
    CENTI = 10  # noqa: PIE796  # an alias


@dataclass
class Point:
    x: float
    y: float = 0.0
    tags: list = field(default_factory=list)

    def norm(self):
        return scaled(self.x)


def scaled(x: float) -> float:
    return x * SCALE


class BadRow(ValueError):
    pass


@functools.cache
def fibonacci(n):
    return n if n < 2 else fibonacci(n - 1) + fibonacci(n - 2)


class Config:
    alpha = 0.5


def guarded():
    with guard:
        return 1
