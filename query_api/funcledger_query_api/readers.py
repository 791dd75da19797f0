"""Who reads outcomes just now: subscriptions by batch and by task, and what waits for all of them."""

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager

from funcledger_event_log.records import Token
from funcledger_query_api.landed import Landed
from funcledger_query_api.subscription import Budget, Subscription
from funcledger_schemas.lifecycle import Outcome


class Readers:
    """The subscriptions of one process; together they hold at most ``total_bytes``."""

    def __init__(self, total_bytes: int) -> None:
        self._budget = Budget(total_bytes)
        self._wanting: dict[tuple[str, str, str], list[Subscription]] = {}
        self._all: set[Subscription] = set()
        self._closed = False

    @contextmanager
    def joined(
        self, start: Token, owner: str, batches: Collection[str], tasks: Collection[str], max_bytes: int
    ) -> Iterator[Subscription]:
        """A subscription to an owner's tasks, by batch id or by task id, while the context lasts."""
        reader = Subscription(start, max_bytes, self._budget)
        wanted = [("batch", owner, each) for each in set(batches)]
        wanted += [("task", owner, each) for each in set(tasks)]
        for key in wanted:
            self._wanting.setdefault(key, []).append(reader)
        self._all.add(reader)
        if self._closed:
            reader.close()
        try:
            yield reader
        finally:
            self._all.discard(reader)
            reader.drop()
            for key in wanted:
                self._leave(key, reader)

    def _leave(self, key: tuple[str, str, str], reader: Subscription) -> None:
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
