"""Who reads outcomes just now: subscriptions by batch and by task, and what waits for all of them."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager

from funcledger_event_log.records import Token
from funcledger_query_api.landed import Landed
from funcledger_query_api.subscription import Budget, Subscription
from funcledger_schemas.lifecycle import Outcome

#: What one may subscribe to: "batch" or "task", the owner, the id.
_Wanted = tuple[str, str, str]


class Readers:
    """The subscriptions of one process; together they hold at most ``total_bytes``."""

    def __init__(self, total_bytes: int) -> None:
        self._budget = Budget(total_bytes)
        self._wanting: dict[_Wanted, list[Subscription]] = {}
        #: Every subscription, with what it is to.
        self._all: dict[Subscription, set[_Wanted]] = {}
        self._closed = False

    @contextmanager
    def joined(
        self, start: Token, owner: str, batches: Collection[str], tasks: Collection[str], max_bytes: int
    ) -> Iterator[Subscription]:
        """A subscription to an owner's tasks, by batch id or by task id, while the context lasts."""
        reader = Subscription(start, max_bytes, self._budget)
        self._all[reader] = set()
        self._want(reader, [("batch", owner, each) for each in batches])
        self._want(reader, [("task", owner, each) for each in tasks])
        if self._closed:
            reader.close()
        try:
            yield reader
        finally:
            self._leave(reader, list(self._all[reader]))
            del self._all[reader]
            reader.drop()

    def change(
        self, reader: Subscription, owner: str, add: Collection[str], remove: Collection[str] = ()
    ) -> None:
        """From now on an open subscription is to these batches of its owner as well, or no more."""
        self._leave(reader, [("batch", owner, each) for each in remove])
        self._want(reader, [("batch", owner, each) for each in add])

    def _want(self, reader: Subscription, keys: Iterable[_Wanted]) -> None:
        wanted = self._all[reader]
        for key in keys:
            if key not in wanted:
                wanted.add(key)
                self._wanting.setdefault(key, []).append(reader)

    def _leave(self, reader: Subscription, keys: Iterable[_Wanted]) -> None:
        wanted = self._all[reader]
        for key in keys:
            if key in wanted:
                wanted.discard(key)
                readers = self._wanting[key]
                readers.remove(reader)
                if not readers:
                    del self._wanting[key]

    def __len__(self) -> int:
        return len(self._all)

    def of_batch(self, owner: str, batch_id: str) -> Sequence[Subscription]:
        """Who reads a batch."""
        return self._wanting.get(("batch", owner, batch_id), ())

    def of(self, event: Outcome) -> list[Subscription]:
        """Who wants this outcome."""
        owner, find = event.owner, self._wanting.get
        return [*find(("batch", owner, event.batch_id), ()), *find(("task", owner, event.task_id), ())]

    def offer(self, landed: Landed, readers: Sequence[Subscription]) -> None:
        """Queue an outcome for these; whoever has most in their queue lets go where all have too much."""
        for reader in readers:
            reader.offer(landed)
        while self._budget.exceeded:
            max(self._all, key=lambda reader: reader.held).drop()

    def close(self) -> None:
        """End every subscription, now and from now on."""
        self._closed = True
        for reader in self._all:
            reader.close()
