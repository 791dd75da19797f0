"""The fence of law 7 as writers see it: which agent of each endpoint is in force, from `results` alone."""

import asyncio
from collections.abc import Collection, Iterable, Mapping, Sequence

from funcledger_event_log.endpoint_port import Fenced
from funcledger_event_log.records import Record
from funcledger_schemas.events import EndpointHeartbeat, EndpointStarted, Event
from funcledger_schemas.lifecycle import NO_EPOCH, Epochs

#: An endpoint's id and an epoch.
_Agent = tuple[str, int | None]


class Fence:
    """Learns of agents' starts from the records of `results` and judges events by them.

    It may begin anywhere in a partition when it is told the epochs (and instances) known until there.
    """

    def __init__(
        self, epochs: Mapping[str, Sequence[int]] | None = None, instances: Mapping[str, str] | None = None
    ) -> None:
        self._epochs = Epochs(epochs)
        #: Per endpoint, the instance whose start opened the current epoch.
        self._instances = dict(instances or {})
        self._turns: dict[str, asyncio.Event] = {}

    def current(self, endpoint_id: str) -> int:
        """The newest epoch, -1 when no agent has started yet."""
        return self._epochs.current(endpoint_id)

    def apply(self, records: Iterable[Record]) -> None:
        """Take note of the starts among these records; the others cost a look at their headers."""
        for record in records:
            if record.type == "EndpointStarted":
                self._start(record)

    def _start(self, record: Record) -> None:
        event = record.event_if_readable()
        before = self.current(record.key.decode())
        if not isinstance(event, EndpointStarted) or not self._epochs.admit(record.offset, event):
            return
        if record.offset > before:
            self._instances[event.endpoint_id] = event.instance_id
            if turn := self._turns.pop(event.endpoint_id, None):
                turn.set()

    def check(self, events: Collection[Event]) -> None:
        """Refuse, before they are appended, what would only make void records.

        Raises:
            Fenced: a newer agent is known already.
        """
        if (agents := _agents(events)) is not None and all(map(self._is_current, agents)):
            return
        for event in events:
            if self._refuses(event):
                raise self._fenced(event)

    def _is_current(self, agent: _Agent) -> bool:
        endpoint_id, epoch = agent
        return epoch is not None and epoch == self.current(endpoint_id)

    def _refuses(self, event: Event) -> bool:
        current = self.current(getattr(event, "endpoint_id", ""))
        if isinstance(event, EndpointStarted):
            return event.supersedes < current and not self._stands(event)
        epoch: int | None = getattr(event, "epoch", None)
        return epoch is not None and epoch < current

    def settle(self, offsets: Sequence[int], events: Sequence[Event]) -> list[int]:
        """The offsets at which appended events stand, once all before them has been applied.

        They are those given, but for a start sent again: there the first copy is the one that counts.

        Raises:
            Fenced: a newer agent stood before one.
        """
        agents = _agents(events)
        # Nearly always all are of the agent in force, and stand behind its start.
        if agents and all(map(self._is_current, agents)) and max(map(_epoch, agents)) < min(offsets):
            return list(offsets)
        return [self._settled(offset, event) for offset, event in zip(offsets, events, strict=True)]

    def _settled(self, offset: int, event: Event) -> int:
        if isinstance(event, EndpointHeartbeat):
            # Its offset is one of another topic, so what is known now has to do.
            self.check([event])
            return offset
        if self._epochs.admit(offset, event):
            return offset
        if isinstance(event, EndpointStarted) and self._stands(event):
            return self.current(event.endpoint_id)
        raise self._fenced(event)

    async def wait_newer(self, endpoint_id: str, epoch: int) -> None:
        """Sleep until an agent newer than this epoch has taken over."""
        while self.current(endpoint_id) <= epoch:
            await self._turns.setdefault(endpoint_id, asyncio.Event()).wait()

    def _stands(self, event: EndpointStarted) -> bool:
        return self._instances.get(event.endpoint_id) == event.instance_id

    def _fenced(self, event: Event) -> Fenced:
        endpoint_id = getattr(event, "endpoint_id", "")
        return Fenced(
            f"a newer agent of endpoint {endpoint_id} started at offset {self.current(endpoint_id)} of its "
            "results; this one must stop"
        )


def _agents(events: Iterable[Event]) -> set[_Agent] | None:
    """The agents that these events are of, all looked at in one go; None where one has no epoch."""
    try:
        return {(event.endpoint_id, event.epoch) for event in events}  # type: ignore[attr-defined]
    except AttributeError:
        return None


def _epoch(agent: _Agent) -> int:
    return NO_EPOCH if agent[1] is None else agent[1]
