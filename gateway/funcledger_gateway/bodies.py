"""Function bodies by hash: the catalogue knows where they stand, the log has them."""

from funcledger_event_log.follower import Tail
from funcledger_event_log.port import EventLog
from funcledger_event_log.records import Position
from funcledger_schemas.events import FunctionRegistered
from funcledger_web.catalogue import Catalogue

#: Seconds the catalogue may take to catch up.
_PATIENCE = 2.0


class CatalogueBodies:
    """``Bodies`` by way of the catalogue."""

    def __init__(self, log: EventLog, catalogue: Catalogue, tail: Tail) -> None:
        self._log = log
        self._catalogue = catalogue
        self._tail = tail

    async def find(self, function_id: str, content_hash: str) -> bytes:
        """As the protocol says."""
        where = self._catalogue.body(content_hash)
        if where is None:
            # It may have been registered elsewhere a moment ago.
            await self._tail.catch_up(_PATIENCE)
            where = self._catalogue.body(content_hash)
        records = await self._log.read([Position(*where)]) if where else []
        for record in records:
            event = record.event() if record is not None else None
            if isinstance(event, FunctionRegistered) and event.payload_sha256 == content_hash:
                return event.payload
        raise LookupError(f"no body of function {function_id} with content {content_hash} is on the log")
