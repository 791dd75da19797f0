"""The one fence of all requests: it follows `results` of every endpoint, and looks at starts alone."""

from collections.abc import Sequence
from dataclasses import dataclass

from funcledger_event_log.fence import Fence
from funcledger_event_log.follower import Tail
from funcledger_event_log.port import EventLog, OutcomeUnknown
from funcledger_event_log.records import Token, TopicPartition
from funcledger_read_models.documents import ENDPOINT_HEALTH, EndpointHealth
from funcledger_read_models.port import ReadModelStore
from funcledger_schemas.events import Event

#: Seconds an append waits to learn whether a newer agent stands before it.
_PATIENCE = 10.0
_PAGE = 1000


class EpochTail:
    """A fence that keeps up with the log."""

    def __init__(self, log: EventLog, fence: Fence, start: dict[TopicPartition, int]) -> None:
        self.fence = fence
        self._tail = Tail(log, ["results"], fence.apply, start=start, name="the gateway's fence")

    @classmethod
    async def over(cls, log: EventLog, store: ReadModelStore) -> "EpochTail":
        """One that begins where the read models stand, with the epochs they know."""
        # Positions first: documents saved meanwhile only make records come twice, which changes nothing.
        positions = await store.positions()
        start = {TopicPartition(*where): end for where, end in positions.items() if where[0] == "results"}
        health = await _all_health(store)
        fence = Fence(
            {each.endpoint_id: each.epochs for each in health},
            {each.endpoint_id: each.instance_id for each in health if each.instance_id},
        )
        return cls(log, fence, start)

    async def start(self) -> None:
        """Begin; returns once it knows all there is now."""
        await self._tail.start()

    async def stop(self) -> None:
        """Stop following."""
        await self._tail.stop()

    @property
    def failed(self) -> bool:
        """Whether it has stopped for good; then no append can be answered."""
        return self._tail.failed is not None

    def of(self, partition: int) -> "SharedFencing":
        """The fencing of the endpoints in this partition."""
        return SharedFencing(self.fence, self._tail, TopicPartition("results", partition))


@dataclass(frozen=True, slots=True)
class SharedFencing:
    """``Fencing`` by the shared tail: what an endpoint of one partition sees of it."""

    fence: Fence
    tail: Tail
    results: TopicPartition

    async def passed(self, _events: Sequence[Event], end: int | None) -> None:
        """As the protocol says; the tail is never far behind the present."""
        if end is not None and not await self.tail.wait_past(Token({self.results: end}), _PATIENCE):
            raise OutcomeUnknown(
                "Appended, but whether a newer agent stands before is not known yet. Send the same again."
            )

    async def close(self) -> None:
        """The tail is everybody's."""


async def _all_health(store: ReadModelStore) -> list[EndpointHealth]:
    found: list[EndpointHealth] = []
    while True:
        after = (found[-1].endpoint_id,) if found else None
        page = await store.find(ENDPOINT_HEALTH, after=after, limit=_PAGE)
        found += [each for each in page if isinstance(each, EndpointHealth)]
        if len(page) < _PAGE:
            return found
