"""The cluster's time: a broker's stamp on a small record that says nothing."""

from collections.abc import Awaitable, Callable

from funcledger_event_log.kafka.positions import POSITIONS
from funcledger_event_log.kafka.topics import Topics
from funcledger_event_log.port import LogUnavailable, OutcomeUnknown, UnknownPartition
from funcledger_event_log.records import NewRecord

#: Beside the positions, since of that topic only the newest record of a key is kept. No consumer's key
#: is without a slash; the value reads as a position, for those that take all keys for one.
_RECORD = NewRecord(POSITIONS, 0, b"time", (), b"0 ")

#: Appends a record and gives its append time, in ms.
Stamp = Callable[[NewRecord], Awaitable[int]]


class BrokerTime:
    """Asks for it. No request of Kafka's protocol tells the time without something to stamp."""

    def __init__(self, topics: Topics, stamp: Stamp) -> None:
        self._topics = topics
        self._stamp = stamp

    async def ask(self) -> int:
        """The append time (ms) of a record appended meanwhile.

        Raises:
            LogUnavailable: the cluster does not say.
        """
        try:
            return await self._made_and_stamped()
        except OutcomeUnknown as error:
            raise LogUnavailable(f"the broker did not tell the time: {error}") from error

    async def _made_and_stamped(self) -> int:
        try:
            return await self._stamp(_RECORD)
        except UnknownPartition:
            await self._topics.create(POSITIONS, 1)
            return await self._stamp(_RECORD)
