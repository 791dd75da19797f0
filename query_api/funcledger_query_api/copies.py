"""Which beginnings of tasks may be copies of what stood on the log before this process began to read it."""

from funcledger_event_log.endpoint_wire import EVENTS_LIMIT
from funcledger_event_log.records import Record


class Copies:
    """An agent whose append got no answer sends the same events again: its TaskStarted then stands twice,
    the second time perhaps behind its task's outcome.

    An agent has one append under way at a time, of at most ``EVENTS_LIMIT`` events. So of an agent that
    had begun before us only so many different ones can be copies of what we have not read.
    """

    def __init__(self) -> None:
        #: Per endpoint, the event ids of beginnings so far; None once there can be no more copies.
        self._heard: dict[bytes, set[str] | None] = {}

    def begun_anew(self, endpoint: bytes) -> None:
        """A new agent of this endpoint has started: we read all that it appends."""
        self._heard[endpoint] = None

    def possible(self, record: Record) -> bool:
        """Whether this TaskStarted may be one."""
        if record.key not in self._heard:
            self._heard[record.key] = set()
        heard = self._heard[record.key]
        if heard is None:
            return False
        heard.add(record.header("ce_id") or "")
        if len(heard) <= EVENTS_LIMIT:
            return True
        self._heard[record.key] = None
        return False
