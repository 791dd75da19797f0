"""Says every few seconds that the agent is alive, and how busy."""

from collections.abc import Callable

from funcledger_endpoint.facts import Facts
from funcledger_endpoint.machine import usage
from funcledger_endpoint.patience import Complaint
from funcledger_event_log.endpoint_port import EndpointLog
from funcledger_event_log.port import LogUnavailable, OutcomeUnknown
from funcledger_schemas import clock
from funcledger_schemas.events import EndpointHeartbeat
from funcledger_schemas.ids import new_id


class Heartbeat:
    """``load`` tells of workers, busy ones, and queued tasks. A beat that cannot be sent is left out."""

    def __init__(
        self, log: EndpointLog, facts: Facts, instance_id: str, load: Callable[[], tuple[int, int, int]]
    ) -> None:
        self._log, self._facts, self._instance_id, self._load = log, facts, instance_id, load

    async def run(self, seconds: float) -> None:
        """Beat, without end.

        Raises:
            Fenced: a newer agent has taken over.
        """
        complaint = Complaint("sending signs of life")
        while True:
            try:
                await self._log.append([self._beat()])
            except (LogUnavailable, OutcomeUnknown) as error:
                complaint.failed(error)
            else:
                complaint.succeeded()
            await clock.sleep(seconds)

    def _beat(self) -> EndpointHeartbeat:
        workers, busy, queued = self._load()
        return EndpointHeartbeat(
            event_id=new_id(),
            occurred_at=clock.micros(),
            actor=self._facts.actor,
            endpoint_id=self._facts.endpoint_id,
            instance_id=self._instance_id,
            epoch=self._facts.epoch,
            workers=workers,
            busy=busy,
            queued=queued,
            **usage()._asdict(),
        )
