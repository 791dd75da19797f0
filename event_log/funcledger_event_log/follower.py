"""``Tail`` keeps a function fed with every record of some topics, whatever happens to the log meanwhile."""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Mapping, Sequence

from tenacity import RetryCallState

from funcledger_event_log.patience import retrying
from funcledger_event_log.port import EventLog, LogUnavailable
from funcledger_event_log.present import present
from funcledger_event_log.records import Record, Token, TopicPartition
from funcledger_event_log.waiting import Reached
from funcledger_schemas import clock

_log = logging.getLogger(__name__)

#: Seconds between looks for new partitions.
GROWTH_INTERVAL = 5.0
#: Batches of fewer records are worth waiting for more.
_SMALL = 500


class Tail:
    """Feeds every record of some topics to a function, in order, and knows how far it has got.

    It begins where ``start`` says, or at the lowest offset kept. When the log is unavailable it tries
    again, from where it was. When ``apply`` raises, or records are gone before they were seen, it
    stops and says so in :attr:`failed`, because to go on would be to skip. With ``gather`` it lets records
    gather for so many seconds between small batches, where nobody waits for it to be prompt.
    """

    def __init__(
        self,
        log: EventLog,
        topics: Sequence[str],
        apply: Callable[[list[Record]], None],
        *,
        start: Mapping[TopicPartition, int] | None = None,
        gather: float = 0.0,
        name: str,
    ) -> None:
        self._log = log
        self._topics = tuple(topics)
        self._apply = apply
        self._start = dict(start or {})
        self._gather = gather
        self._name = name
        self._reached = Reached()
        self._reader: asyncio.Task[None] | None = None
        self._watcher: asyncio.Task[None] | None = None
        #: Why it has stopped for good, None while all is well.
        self.failed: Exception | None = None

    async def start(self) -> None:
        """Begin; returns once it has caught up with the ends it found.

        Raises:
            LogUnavailable: the log could not be asked for its partitions.
            Exception: what ``apply`` raised meanwhile.
        """
        await self._look_for_partitions()
        self._watcher = asyncio.create_task(self._watch(), name=f"{self._name}: partitions")
        for where, end in (await present(self._log, self._topics)).ends.items():
            await self._wait_for(where, end)
        if self.failed is not None:
            await self.stop()
            raise self.failed

    @property
    def position(self) -> Token:
        """What has been applied."""
        return Token({where: offset for where, offset in self._reached.offsets.items() if offset})

    async def wait_past(self, token: Token, timeout: float) -> bool:
        """Whether everything in the token has been applied, after at most ``timeout`` seconds.

        Topics it does not follow are ignored. False at once when it has failed.
        """
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout):
                for where, end in token.ends.items():
                    if where.topic in self._topics:
                        await self._wait_for(where, end)
                return self.failed is None
        return False

    async def catch_up(self, timeout: float) -> bool:
        """Whether everything that is on the log now has been applied, after at most ``timeout`` seconds.

        Raises:
            LogUnavailable: the log could not be asked for its ends.
        """
        return await self.wait_past(await present(self._log, self._topics), timeout)

    async def _wait_for(self, where: TopicPartition, end: int) -> None:
        if where not in self._reached.offsets:
            # Somebody has seen a record of a partition that is newer than our last look.
            await self._look_for_partitions()
        await self._reached.wait(where, end)

    async def stop(self) -> None:
        """Stop; what was being applied is finished."""
        tasks = [task for task in (self._watcher, self._reader) if task is not None]
        self._watcher = self._reader = None
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _watch(self) -> None:
        while True:
            await clock.sleep(GROWTH_INTERVAL)
            with contextlib.suppress(LogUnavailable):  # the reader says so, and the next look will tell
                await self._look_for_partitions()

    async def _look_for_partitions(self) -> None:
        found: dict[TopicPartition, int] = {}
        for topic in self._topics:
            for partition, lowest in (await self._log.starts(topic)).items():
                where = TopicPartition(topic, partition)
                found[where] = self._start.get(where, lowest)
        new = {where: offset for where, offset in found.items() if where not in self._reached.offsets}
        if new:
            self._reached.offsets.update(new)
            self._read_anew()

    def _read_anew(self) -> None:
        if self._reader is not None:
            self._reader.cancel()
        if self.failed is None:
            self._reader = asyncio.create_task(self._read_for_ever(), name=f"{self._name}: reader")

    async def _read_for_ever(self) -> None:
        try:
            while True:
                await retrying(LogUnavailable, first=0.05, most=2.0, say=self._say_unavailable)(self._read)
        except Exception as error:
            _log.exception("%s has stopped at %s", self._name, self.position)
            self.failed = error
            self._reached.give_up()

    async def _read(self) -> None:
        """Apply batches until the log is unavailable; raises LogUnavailable if it was so from the start."""
        begun = False
        try:
            async with contextlib.aclosing(self._log.follow(self._reached.offsets)) as batches:
                async for batch in batches:
                    self._apply(batch)
                    self._reached.advance(batch)
                    begun = True
                    if self._gather and len(batch) < _SMALL:
                        await clock.sleep(self._gather)
        except LogUnavailable:
            if not begun:
                raise

    def _say_unavailable(self, state: RetryCallState) -> None:
        cause = state.outcome.exception() if state.outcome else None
        _log.warning("%s cannot follow the log, attempt %d: %s", self._name, state.attempt_number, cause)
