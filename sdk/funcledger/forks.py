"""What a process forked from this one makes anew: connections, threads, and locks that others may hold.

A child has a copy of all objects and of none of the threads, and shares every socket with its parent. So what
owns any of these registers here, weakly, and is told in the child before that runs anything else.
"""

import os
from typing import Protocol
from weakref import WeakSet


class Renewable(Protocol):
    """Owns what a child must not share with its parent."""

    def renew(self) -> None:
        """In a forked child: part from the parent. No other thread runs, any lock may be held for ever."""


_owners: "WeakSet[Renewable]" = WeakSet()
#: Have this object renewed in each child that is forked while it lives.
renewed_in_children = _owners.add


def _renew_all() -> None:
    for owner in list(_owners):
        owner.renew()


if hasattr(os, "register_at_fork"):  # not on Windows, which does not fork
    os.register_at_fork(after_in_child=_renew_all)
