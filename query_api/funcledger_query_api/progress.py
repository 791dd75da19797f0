"""How far the read models have got, and the wait of law 9: a client never goes back in time."""

import asyncio
import contextlib
from collections.abc import Callable, Iterator

from funcledger_event_log.records import Token, TopicPartition
from funcledger_read_models.port import ReadModelStore
from funcledger_schemas import clock

#: Topics that read models are made of; a token's other entries do not concern them.
TOPICS = frozenset({"functions", "endpoints", "tasks", "results", "heartbeats"})
#: Seconds after which the store is asked again even if it told of no change.
_LOOK = 1.0


def unheard(_wanted: bool) -> None:
    """Where whoever keeps the read models cannot be told that somebody waits for them."""


class Progress:
    """The read models' positions; many waiters share one look at the store.

    ``hurry`` is told when somebody who is in a hurry begins to wait, and when nobody does any more.
    """

    def __init__(self, store: ReadModelStore, hurry: Callable[[bool], None] = unheard) -> None:
        self._store = store
        self._hurry = hurry
        self._hurried = 0
        self._known: dict[TopicPartition, int] = {}
        self._waiting: dict[asyncio.Future[None], Token] = {}
        self._watcher: asyncio.Task[None] | None = None

    async def now(self) -> Token:
        """What the read models reflect.

        Raises:
            StoreUnavailable: the store cannot be asked.
        """
        for (topic, partition), end in (await self._store.positions()).items():
            where = TopicPartition(topic, partition)
            self._known[where] = max(end, self._known.get(where, 0))
        return Token({where: end for where, end in self._known.items() if end})

    @property
    def waiting(self) -> int:
        """How many wait just now."""
        return len(self._waiting)

    def known(self, where: TopicPartition) -> int:
        """The offset up to which the read models reflected a partition when last looked."""
        return self._known.get(where, 0)

    def lag(self, token: Token) -> dict[str, int]:
        """Per partition of the token that was not passed when last looked, how many records are missing."""
        return {
            f"{where.topic}:{where.partition}": end - self._known.get(where, 0)
            for where, end in token.ends.items()
            if where.topic in TOPICS and end > self._known.get(where, 0)
        }

    async def passed(self, token: Token, timeout: float | None, *, patient: float = 0.0) -> bool:
        """Whether the read models have passed the token, after at most ``timeout`` seconds.

        ``patient``: seconds in which what is waited for most likely comes by another way; nobody is hurried.

        Raises:
            StoreUnavailable: the store cannot be asked.
        """
        if not self.lag(token):
            return True
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting[future] = token
        if self._watcher is None or self._watcher.done():
            self._watcher = asyncio.create_task(self._watch(), name="read models' progress")
        try:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(timeout):
                    if patient:
                        await asyncio.wait([future], timeout=patient)
                    with contextlib.nullcontext() if future.done() else self._hurrying():
                        await future
        finally:
            del self._waiting[future]
        return not self.lag(token)

    @contextlib.contextmanager
    def _hurrying(self) -> Iterator[None]:
        self._hurried += 1
        try:
            if self._hurried == 1:
                self._hurry(True)
            yield
        finally:
            self._hurried -= 1
            if not self._hurried:
                self._hurry(False)

    async def _watch(self) -> None:
        """Look until nobody waits; listens for changes before it looks, so that none is missed."""
        while self._waiting:
            change = asyncio.create_task(self._store.wait_change(_LOOK))
            try:
                await clock.sleep(0)
                await self.now()
                self._wake()
                if self._waiting:
                    await change
            except Exception as error:
                self._fail(error)
            finally:
                change.cancel()
                await asyncio.gather(change, return_exceptions=True)

    def _wake(self) -> None:
        for future, token in self._waiting.items():
            if not future.done() and not self.lag(token):
                future.set_result(None)

    def _fail(self, error: Exception) -> None:
        for future in self._waiting:
            if not future.done():
                future.set_exception(error)

    async def stop(self) -> None:
        """Let go of those who wait."""
        if self._watcher is not None:
            self._watcher.cancel()
            await asyncio.gather(self._watcher, return_exceptions=True)
        for future in self._waiting:
            future.cancel()
