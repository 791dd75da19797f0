"""The outcomes that landed last, in bounded memory."""

from collections import deque

from funcledger_query_api.landed import Landed


class RecentOutcomes:
    """The newest first outcomes, at most so many bytes of them as they count themselves."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._held = 0
        self._order: deque[Landed] = deque()
        #: By owner and task id; of an id on several endpoints, those that landed after the first stand apart.
        self._found: dict[tuple[str, str], Landed] = {}
        self._more: dict[tuple[str, str], list[Landed]] = {}

    def add(self, landed: Landed) -> None:
        """This outcome is its task's first, for certain."""
        name = _name(landed)
        if self._found.setdefault(name, landed) is not landed:
            self._more.setdefault(name, []).append(landed)
        self._order.append(landed)
        self._held += landed.size
        while self._held > self._limit:
            self._forget(self._order.popleft())

    def _forget(self, landed: Landed) -> None:
        self._held -= landed.size
        name = _name(landed)
        if more := self._more.get(name):
            self._found[name] = more.pop(0)
            if not more:
                del self._more[name]
        else:
            del self._found[name]

    def of(self, owner: str, task_id: str) -> list[Landed]:
        """Those of a task, one for each endpoint that has the id, in the order they landed."""
        name = owner, task_id
        first = self._found.get(name)
        return [first, *self._more.get(name, ())] if first is not None else []


def _name(landed: Landed) -> tuple[str, str]:
    return landed.event.owner, landed.event.task_id
